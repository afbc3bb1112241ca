"""Result masks as people hand them in: a folder, one inside another, or a zip file of it."""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from vitbench.api import errors
from vitbench.kit import bounds, mask_files, parsing

DEPTH = 4  # folders below the one that was given, in which clips are looked for
LISTED = 10_000  # folders that are looked at


@contextmanager
def result_folder(predictions: Path, clips: Sequence[str]) -> Iterator[Path]:
    """Give the folder that holds one folder of masks for each clip.

    Args:
        predictions: That folder, a folder around it, or a zip file, which is unpacked for the time
            of the block.
        clips: Names of the clips.

    Raises:
        DatasetError: No folder holds all clips, or several do.
    """
    if not predictions.is_file() or not zipfile.is_zipfile(predictions):
        yield _holder(predictions, clips, predictions)
        return
    with TemporaryDirectory(prefix="vitbench-masks-") as unpacked:
        _unpack(predictions, Path(unpacked), clips)
        yield _holder(Path(unpacked), clips, predictions)


def _unpack(source: Path, folder: Path, clips: Sequence[str]) -> None:
    """Write the masks of the clips in a zip file below a folder, and nothing else of it.

    Raises:
        DatasetError: The file is broken, or a mask is too large.
    """
    names = {*clips}
    with (
        parsing(
            f"the zip file {str(source)!r}",
            expected="a whole zip file without a password",
            hint="zip the folder again, or give the folder itself",
        ),
        zipfile.ZipFile(source) as archive,
    ):
        members = archive.infolist()
        if len(members) > bounds.MOST_MEMBERS:
            raise ValueError(f"{len(members):,} members, at most {bounds.MOST_MEMBERS:,}")
        paths = [PurePosixPath(member.filename) for member in members]
        masks = [
            member
            for member, path in zip(members, paths, strict=True)
            if path.parent.name in names and path.suffix == ".png"
        ]
        _check_sizes(source, masks)
        for member in masks:
            archive.extract(member, folder)  # never outside of it: zipfile drops `..` and `/`


def _check_sizes(source: Path, masks: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse masks that unpack to too much; zipfile reads no more of a member than it says."""
    largest = max(masks, key=lambda member: member.file_size, default=None)
    if largest is not None and largest.file_size > bounds.LARGEST_LABEL:
        raise errors.DatasetError(
            f"{largest.filename!r} in {str(source)!r} is too large.",
            expected=f"at most {bounds.LARGEST_LABEL >> 20} MB for a mask",
            found=f"{largest.file_size >> 20} MB",
        )
    unpacked = sum(member.file_size for member in masks)
    if unpacked > bounds.LARGEST_ANNOTATIONS:
        raise ValueError(f"{unpacked:,} bytes unpacked, at most {bounds.LARGEST_ANNOTATIONS:,}")


def _holder(folder: Path, clips: Sequence[str], given: Path) -> Path:
    """Return the folder that holds all clips: this one, or the only one below that does."""
    missing = [clip for clip in clips if not (folder / clip).is_dir()]
    if not missing:
        return folder
    below = [path for path in _folders(folder) if all((path / one).is_dir() for one in clips)]
    if len(below) == 1:
        return below[0]
    if below:
        raise errors.DatasetError(
            f"{str(given)!r} holds several sets of masks.",
            expected="one folder with a folder of masks for each clip",
            found=errors.listed([path.relative_to(folder).as_posix() for path in below]),
            hint="give one of these folders",
        )
    raise errors.DatasetError(
        f"{str(given)!r} has no folder of the clip {missing[0]!r}.",
        expected="PREDICTIONS/<clip>/<frame>.png",
        found=_found(folder, len(missing), len(clips)),
        hint="give the folder or zip file that holds one folder for each clip; --split says which"
        " clips",
    )


def found_instead(folder: Path) -> str:
    """Describe the content of a clip's folder, for a message."""
    others = sorted(path.suffix for path in folder.iterdir() if path.is_file())
    kinds = sorted({suffix for suffix in others if suffix not in ("", ".png")})
    masks = f"{len(mask_files(folder))} PNGs"
    return f"{masks}, and files ending in {errors.listed(kinds)}" if kinds else masks


def _found(predictions: Path, missing: int, clips: int) -> str:
    if predictions.is_file():
        return f"a file ({predictions.suffix or 'without ending'}) that is no zip file"
    if not predictions.is_dir():
        return "nothing there"
    names = sorted(path.name for path in predictions.iterdir())
    return f"{missing} of {clips} clips missing; there lie {errors.listed(names)}"


def _folders(folder: Path) -> list[Path]:
    """List the folders below this one, the upper ones first, up to a depth and a number."""
    found: list[Path] = []
    level = [folder] if folder.is_dir() else []
    for _ in range(DEPTH):
        level = [
            path
            for upper in level
            for path in sorted(upper.iterdir())
            if path.is_dir() and not path.name.startswith(".")
        ]
        found += level
        if len(found) > LISTED:
            return found[:LISTED]
    return found
