"""A folder of result masks: is it the right one, and what lies there instead?"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vitbench.api import errors
from vitbench.kit import mask_files

DEPTH = 4  # folders below the one that was given, in which clips are looked for
LISTED = 10_000  # folders that are looked at


def check_folder(predictions: Path, clips: Sequence[str]) -> None:
    """Check that a folder holds one folder of masks a clip.

    Raises:
        DatasetError: It does not; the message names the folder that does, if one is near.
    """
    missing = [clip for clip in clips if not (predictions / clip).is_dir()]
    if not missing:
        return
    deeper = deeper_folder(predictions, clips)
    raise errors.DatasetError(
        f"{str(predictions)!r} has no folder of the clip {missing[0]!r}.",
        expected="PREDICTIONS/<clip>/<frame>.png",
        found=_found(predictions, len(missing), len(clips)),
        hint=f"give the folder {str(deeper)!r}"
        if deeper
        else "unpack the archive, and give the folder that holds the clips"
        if predictions.is_file()
        else "give the folder that holds one folder a clip; --split says which clips",
    )


def deeper_folder(folder: Path, clips: Sequence[str]) -> Path | None:
    """Return the folder below this one, if any, that holds all clips."""
    for number, below in enumerate(_folders(folder, DEPTH)):
        if number > LISTED:
            return None
        if all((below / clip).is_dir() for clip in clips):
            return below
    return None


def found_instead(folder: Path) -> str:
    """Tell what a clip's folder holds, for a message."""
    others = sorted(path.suffix for path in folder.iterdir() if path.is_file())
    kinds = sorted({suffix for suffix in others if suffix not in ("", ".png")})
    masks = f"{len(mask_files(folder))} PNGs"
    return f"{masks}, and files ending in {errors.listed(kinds)}" if kinds else masks


def _found(predictions: Path, missing: int, clips: int) -> str:
    if predictions.is_file():
        return f"a file ({predictions.suffix or 'without ending'})"
    if not predictions.is_dir():
        return "nothing there"
    names = sorted(path.name for path in predictions.iterdir())
    return f"{missing} of {clips} clips missing; there lie {errors.listed(names)}"


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    if not depth or not folder.is_dir():
        return
    below = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."]
    yield from below
    for path in below:
        yield from _folders(path, depth - 1)
