"""Pictures of a run, made small and put into the page."""

import base64
import io
import warnings
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitbench.records import Record, safe_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as Picture

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".gif"}
SIDE = 640  # px of a photo's long side
DRAWN_SIDE = 1200  # and of a drawing's, whose letters must stay readable
DRAWINGS = {".png", ".gif"}
QUALITY = 78
BUDGET = 24_000_000  # characters of all pictures of a page
LARGEST_FILE = 30_000_000


@dataclass(frozen=True, slots=True)
class File:
    """An artifact of a record that lies where it may."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Image:
    """A picture inside the page."""

    address: str
    width: int = 0  # px; 0: not known
    height: int = 0


class Album:
    """The pictures of one page; once the budget is spent, further ones are only counted."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.left, self.budget, self.omitted = budget, budget, 0

    def embed(self, path: Path) -> Image | None:
        """Return a picture with its data; None where it can't be read or has no room."""
        if self.left <= 0:
            self.omitted += 1
            return None
        image = _drawing(path) if path.suffix == ".svg" else _thumbnail(path)
        self.left -= len(image.address) if image else 0
        return image


def files(record: Record, folders: Sequence[Path]) -> Iterator[File]:
    """List the files that a record names, each from the first folder that has it."""
    found: dict[str, File] = {}
    for folder in folders if record.artifacts else ():
        for file in _files_in(record, folder):
            found.setdefault(file.name, file)
    yield from found.values()


def _files_in(record: Record, folder: Path) -> Iterator[File]:
    """List the files that a record names, leaving out those outside its folder."""
    base = (folder / safe_name(record.protocol.name)).resolve()
    for name, relative in record.artifacts.items():
        try:
            path = (base / relative).resolve()
            small = path.is_file() and path.stat().st_size < LARGEST_FILE
        except (OSError, ValueError):  # a name that no file can have
            continue
        if small and path.is_relative_to(base):
            yield File(name, path)


def is_picture(file: File) -> bool:
    """Tell whether a file can be shown as a picture."""
    return file.path.suffix.lower() in PICTURES | {".svg"}


def item_of(name: str, ids: Container[str]) -> str:
    """Return the item whose id occurs as words of an artifact's name, the longest; else empty."""
    words = name.split(" ")
    for length in range(len(words), 0, -1):
        for start in range(len(words) - length + 1):
            if (item := " ".join(words[start : start + length])) in ids:
                return item
    return ""


def _thumbnail(path: Path) -> Image | None:
    """Decode a picture and write it anew, so that nothing of a stranger's file gets through."""
    picture = read_picture(path)
    return None if picture is None else _webp(picture)


def read_picture(path: Path) -> "Picture | None":
    """Read a picture, at most as large as pages show it; None where it can't be read."""
    from PIL import Image as Pillow

    bombs = (Pillow.DecompressionBombWarning, Pillow.DecompressionBombError)
    try:
        with warnings.catch_warnings(), Pillow.open(path) as image:
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            side = DRAWN_SIDE if path.suffix.lower() in DRAWINGS else SIDE
            image.thumbnail((side, side))
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, *bombs):
        return None


def encode(pixels: "NDArray[np.uint8]") -> Image:
    """Put the pixels of a picture, (H, W, 3), into the page."""
    from PIL import Image as Pillow

    return _webp(Pillow.fromarray(pixels))


def _webp(image: "Picture") -> Image:
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=QUALITY)
    return Image(_data("image/webp", stream.getvalue()), *image.size)


def _drawing(path: Path) -> Image:
    """Embed a drawing; inside an <img> no browser runs its scripts or loads what it names."""
    return Image(_data("image/svg+xml", path.read_bytes()))


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
