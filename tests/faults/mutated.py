"""Damaged files of every kind, read to the end: read, or refused by an error that names them."""

import base64
import json
import random
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.harness import MB, Outcome, many
from tests.faults.mutations import damage
from tests.faults.readers import Reader
from vitbench.errors import VitbenchError
from vitbench.outside_files import NO_MEMORY

MEMORY = (256 + 4 * 64) * MB  # 256 MB and four times the input, of which the largest has 64 MB
SECONDS = 20.0
CORPUS = Path(__file__).parent / "corpus"  # reader, file and its content, zlib and base64
ACCEPTED, REFUSED, UNNAMED = "accepted", "refused", "refused without a name"
PLACES = ("annotation ", "detection in image ")  # in the one file that was given
FINE = frozenset({ACCEPTED, REFUSED})


@dataclass(frozen=True, slots=True)
class Damaged:
    """One kind of files, its honest folder, and the folder in which damaged ones are read."""

    reader: Reader
    honest: Path
    place: Path

    @classmethod
    def of(cls, reader: Reader, root: Path) -> "Damaged":
        """Write the honest files, and check that they are read."""
        honest = root / reader.name / "honest"
        honest.mkdir(parents=True)
        reader.write(honest)
        found = cls(reader, honest, root / reader.name / "damaged")
        (whole,) = many([0], lambda _: found.read_honest(), memory=1 << 40, seconds=60.0)
        assert whole.verdict == ACCEPTED, f"{reader.name}: {whole.verdict}"
        return found

    def read_honest(self) -> str:
        """Read the honest files."""
        self.lay_out()
        self.reader.read(self.place)
        return ACCEPTED

    def files(self) -> list[Path]:
        """List the files that are damaged, below the honest folder."""
        found = sorted(path for path in self.honest.glob(self.reader.files) if path.is_file())
        return [path.relative_to(self.honest) for path in found]

    def lay_out(self) -> None:
        """Put the honest files in the place of whatever was read last."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.honest, self.place, copy_function=_link)

    def damaged(self, seed: int) -> tuple[Path, bytes]:
        """Return which file a case damages, and to what."""
        draw = random.Random(f"{self.reader.name} {seed}")
        file = draw.choice(self.files())
        return file, damage(draw, file.suffix, (self.honest / file).read_bytes())

    def read(self, file: Path, content: bytes) -> str:
        """Read the folder with one file damaged; return the verdict."""
        self.lay_out()
        (self.place / file).unlink()
        (self.place / file).write_bytes(content)
        try:
            self.reader.read(self.place)
        except VitbenchError as error:
            text = str(error)
            if self.reader.own:
                return f"a cache is refused: {text}"
            if NO_MEMORY in text:
                return f"takes more than {MEMORY >> 20} MB"
            return REFUSED if self._is_named(text, file) else f"{UNNAMED}: {text}"
        return ACCEPTED

    def _is_named(self, text: str, file: Path) -> bool:
        """Tell whether a message says where the trouble is: the file, its folder, or an item."""
        names = {*file.parts, file.stem, *self.place.parts[-2:], file.stem.split(".")[0]}
        return any(name in text for name in names) or any(mark in text for mark in PLACES)

    def corpus(self) -> Iterator[Outcome]:
        """Read what once failed."""
        kept = [json.loads(path.read_text()) for path in sorted(CORPUS.glob("*.json"))]
        mine = [one for one in kept if one["reader"] == self.reader.name]
        contents = [zlib.decompress(base64.b64decode(one["content"])) for one in mine]
        files = [Path(one["file"]) for one in mine]
        work: Callable[[int], str] = lambda n: self.read(files[n], contents[n])  # noqa: E731
        yield from many(list(range(len(mine))), work, memory=MEMORY, seconds=SECONDS)

    def cases(self, seeds: range) -> Iterator[Outcome]:
        """Read many damaged files, some in each child."""
        work: Callable[[int], str] = lambda seed: self.read(*self.damaged(seed))  # noqa: E731
        yield from many(list(seeds), work, memory=MEMORY, seconds=SECONDS)


def _link(source: str, target: str) -> None:
    """Link a file that no case writes to; far cheaper than a copy."""
    Path(target).hardlink_to(source)
