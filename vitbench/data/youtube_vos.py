"""Clips whose objects may appear in any frame, as YouTube-VOS has them.

    train/JPEGImages/<clip>/00000.jpg, train/Annotations/<clip>/00000.png    YouTube-VOS's layout
    JPEGImages/480p/…, Annotations/480p/…, ImageSets/2017/<split>.txt        DAVIS's

A folder of label maps for each clip, with neither layout around it, opens as clips without frames.
Every frame needs a mask: the public part of YouTube-VOS that has them is its training split.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from vitbench.data.clips import (
    LATE_OBJECTS,
    VOID,
    Clip,
    ClipDataset,
    frame_files,
    mask_files,
    read_labels,
)
from vitbench.data.davis import (
    RESOLUTION,
    SHORTEST,
    clip_names,
    common_size,
    image_size,
    mask_folders,
)
from vitbench.data.split_folders import names_of
from vitbench.errors import DatasetError
from vitbench.records import DatasetInfo

LARGEST = 4320  # px: short side of a frame

Files = tuple[str, tuple[Path, ...], tuple[Path, ...]]  # name of a clip, its frames, its masks


def open_late_objects(root: Path, split: str) -> ClipDataset:
    """Open the clips of a split; each object enters with the first mask that shows it.

    Args:
        root: The folder of the data.
        split: `youtube-vos/val`, `youtube-vos/train`.

    Raises:
        DatasetNotFound: The root holds no clips, or not this split.
        DatasetError: A frame has no mask, a mask or frame is unreadable or of another size, or no
            mask of a clip shows an object. The message names the file.
    """
    with ThreadPoolExecutor() as pool:
        clips = [_open(files, pool) for files in _files(root, split.removeprefix(LATE_OBJECTS))]
    info = DatasetInfo(
        name=root.name, split=split, kind="clips", items=len(clips), item_noun="clips"
    )
    return ClipDataset(info, clips)


def _files(root: Path, split: str) -> Iterator[Files]:
    """Yield the files of each clip of a split, in the layout that is there."""
    homes = [root / name for name in names_of(split)]
    home = next((path for path in homes if (path / "JPEGImages").is_dir()), None)
    if home is not None:
        folders = mask_folders(home / "Annotations", split)
        named = [(path.name, home / "JPEGImages" / path.name, path) for path in folders]
    elif (root / "ImageSets").is_dir():
        frames, masks = (root / kind / RESOLUTION for kind in ("JPEGImages", "Annotations"))
        named = [(name, frames / name, masks / name) for name in clip_names(root, split)]
    else:
        for path in mask_folders(root, split):
            yield path.name, (), mask_files(path)
        return
    for name, frames, masks in named:
        yield name, frame_files(frames), _masks_of(name, frame_files(frames), masks)


def _masks_of(name: str, frames: Sequence[Path], folder: Path) -> tuple[Path, ...]:
    """Return the mask of each frame of a clip."""
    known = {path.stem: path for path in mask_files(folder)}
    missing = [path.stem for path in frames if path.stem not in known]
    if missing:
        raise DatasetError(
            f"the mask '{folder / missing[0]}.png' of clip {name!r} is missing.",
            expected="a mask for every frame, as the training split of YouTube-VOS has",
            found=f"{len(known)} masks, {len(frames)} frames",
        )
    return tuple(known[path.stem] for path in frames)


def _open(files: Files, pool: ThreadPoolExecutor) -> Clip:
    """Check the files of a clip and find where each object enters."""
    name, frames, masks = files
    if len(masks) < SHORTEST:
        raise DatasetError(
            f"clip {name!r} has too few frames with masks.",
            expected=f"at least {SHORTEST}",
            found=str(len(masks)),
        )
    size = _size(frames, pool)
    size = size or (read_labels(masks[0]).shape[0], read_labels(masks[0]).shape[1])
    shown = list(pool.map(partial(_objects, size=size), masks))
    objects = max((max(labels, default=0) for labels in shown), default=0)
    if not objects:
        raise DatasetError(
            f"no mask of clip {name!r} shows an object: {str(masks[0].parent)!r}.",
            expected="at least one object to follow",
            found="background only",
        )
    enters = tuple(
        next((index for index, labels in enumerate(shown) if number in labels), len(masks))
        for number in range(1, objects + 1)
    )
    return Clip(name, frames, masks, *size, objects, enters=enters)


def _size(frames: Sequence[Path], pool: ThreadPoolExecutor) -> tuple[int, int] | None:
    """Return the (height, width) of every frame; None where there are no frames."""
    if not frames:
        return None
    return common_size(frames, list(pool.map(image_size, frames)), largest=LARGEST)


def _objects(path: Path, size: tuple[int, int]) -> frozenset[int]:
    """Return the numbers of the objects that a mask shows."""
    labels = read_labels(path)
    if labels.shape != size:
        raise DatasetError(
            f"the mask {str(path)!r} has another size than its clip.",
            expected=f"{size[0]}x{size[1]} pixels (height x width)",
            found=f"{labels.shape[0]}x{labels.shape[1]}",
        )
    return frozenset(np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist()) - {
        0,
        VOID,
    }
