"""`vitbench data convert NAME`: a published set, from its authors' files to what readers open."""

from dataclasses import dataclass
from pathlib import Path

from vitbench.cli.flags import parse
from vitbench.cli.reporter import speaking
from vitbench.data.dataset import find_root
from vitbench.data.nyuv2 import convert_nyuv2
from vitbench.errors import UnknownName
from vitbench.settings import setting

CONVERTERS = {"nyuv2": convert_nyuv2}
ABOUT = """\
Write a published set as images that readers open, beside the files that its authors give or
elsewhere. nyuv2 takes h5py (pip install 'vitbench[nyuv2]') and 2.2 GB.

example:
  vitbench data convert nyuv2"""


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """The set, where its files are, and where the images go."""

    name: str = setting(help="name of the set: nyuv2")
    at: str = setting(
        "", help="folder of the authors' files; left out: that of the set under $VITBENCH_DATA"
    )
    into: Path | None = setting(
        None, help="folder that the images are written to; left out: that of the files"
    )


def convert(arguments: list[str]) -> int:
    """Convert, and print how many images each split has."""
    (what,) = parse(
        {"flags": What},
        arguments,
        prog="vitbench data convert",
        description=ABOUT,
        positional=("name",),
    )
    if what.name not in CONVERTERS:
        raise UnknownName("set to convert", what.name, CONVERTERS, hint="vitbench data layout NAME")
    source = find_root(what.at or what.name)
    target = what.into or source
    with speaking() as reporter:
        found = CONVERTERS[what.name](
            source,
            target,
            lambda split, done, total: reporter.progress(split, done, total, "images"),
        )
    counts = ", ".join(f"{count} {split}" for split, count in found.items())
    print(f"{counts} images in {target}")
    return 0
