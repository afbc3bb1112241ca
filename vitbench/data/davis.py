"""Video clips with object masks, as DAVIS lays them out; everything is checked when they are opened.

    ImageSets/2017/<split>.txt          clip names, one a line
    JPEGImages/480p/<clip>/00000.jpg    frames
    Annotations/480p/<clip>/00000.png   label maps: 0 background, 1.. objects, 255 void

The split `test-dev` has a mask for each clip's first frame only. A split that starts with `2016/`
reads DAVIS-2016: one object a clip, masks of 0 and 255.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitbench.data.dataset import fingerprint
from vitbench.errors import DatasetError, DatasetNotFound, listed
from vitbench.records import DatasetInfo

VOID = 255
RESOLUTION = "480p"
SHORT_SIDE = 480  # px, at most
SHORTEST = 3  # frames: the first and the last are never scored
MASK_MODES = frozenset({"P", "L", "1"})

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Clip:
    """The frames of one video and the masks that are known of it."""

    id: str
    frames: tuple[Path, ...]
    masks: tuple[Path, ...]  # one a frame, or the first frame's alone
    height: int
    width: int
    objects: int  # the highest number in the first mask
    binary: bool  # masks hold 0 and 255, one object

    @property
    def annotated(self) -> bool:
        """Whether every frame has a mask, so that predictions can be scored."""
        return len(self.masks) == len(self.frames)

    def frame(self, index: int) -> Pixels:
        """Read one frame, BGR as OpenCV decodes it, shape (H, W, 3)."""
        return read_frame(self.frames[index])

    def mask(self, index: int) -> Pixels:
        """Read one label map, shape (H, W); 255 is void."""
        return read_labels(self.masks[index], binary=self.binary)


class ClipDataset:
    """The clips of one split, in the order of its list."""

    def __init__(self, info: DatasetInfo, clips: Sequence[Clip]) -> None:
        self.info = info
        self.clips = tuple(clips)
        self.ids = [clip.id for clip in clips]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Clip:
        return self.clips[index]


def open_clips(root: Path, split: str) -> ClipDataset:
    """Open and check the clips of one split: `val`, `train`, `test-dev`, `2016/val`, ….

    Raises:
        DatasetNotFound: The root is no DAVIS folder, or has no such split.
        DatasetError: A frame or mask is missing, unreadable, of another size, or not a label
            map; a first mask is empty; a later mask shows an object that the first does not. The
            message names the file.
    """
    names = _names(root, split)
    year, first_only = split.startswith("2016/"), split.startswith("test-")
    with ThreadPoolExecutor() as pool:
        clips = [
            _open_clip(root, name, binary=year, first_only=first_only, pool=pool) for name in names
        ]
    files = [path for clip in clips for path in (*clip.frames, *clip.masks)]
    info = DatasetInfo(
        name=root.name,
        split=split,
        kind="clips",
        items=len(clips),
        fingerprint=fingerprint(
            (path.relative_to(root).as_posix(), path.stat().st_size) for path in files
        ),
    )
    return ClipDataset(info, clips)


def read_frame(path: Path) -> Pixels:
    """Read a video frame, BGR, shape (H, W, 3).

    Raises:
        DatasetError: The file is no image, or broken.
    """
    import cv2

    found = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if found is None:
        raise _unreadable(path, "a whole JPEG image")
    pixels: Pixels = found
    return pixels


def read_labels(path: Path, *, binary: bool = False) -> Pixels:
    """Read a label map, shape (H, W): the indices of a palette image, never its colors.

    Args:
        path: A single-channel PNG.
        binary: The file holds 0 and 255, which become 0 and 1.

    Raises:
        DatasetError: The file is missing, broken, has colors instead of indices, or is not binary.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in MASK_MODES:
                raise DatasetError(
                    f"the mask {str(path)!r} is no label map.",
                    expected="a palette or grayscale PNG whose pixels are object numbers",
                    found=f"an image of mode {image.mode}: colors, not numbers",
                    hint="save it as a palette PNG",
                )
            labels = np.array(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, "a whole palette PNG", str(error)) from error
    if not binary:
        return labels
    if not np.isin(labels, (0, VOID)).all():
        raise DatasetError(
            f"the mask {str(path)!r} is not binary.",
            expected="0 and 255 only, as DAVIS-2016 has",
            found=f"labels {_labels(labels)}",
            hint="leave out --year 2016",
        )
    return labels // VOID


def mask_files(folder: Path) -> tuple[Path, ...]:
    """Return the label maps of one clip's folder, in the order of their names."""
    return tuple(sorted(folder.glob("*.png")))


def _names(root: Path, split: str) -> list[str]:
    """Read the clip names of a split."""
    year, _, name = split.rpartition("/")
    lists = [root / "ImageSets" / folder / f"{name}.txt" for folder in (year or "2017", RESOLUTION)]
    source = next((path for path in lists[: 2 if year else 1] if path.is_file()), None)
    if source is None:
        raise DatasetNotFound(
            f"{str(root)!r} has no split {split!r} of clips.",
            expected=f"{lists[0].relative_to(root).as_posix()}, the names of its clips",
            found=listed(sorted(p.relative_to(root).as_posix() for p in root.glob("*/*.txt")))
            + "; "
            + listed(sorted(p.relative_to(root).as_posix() for p in root.glob("*/*/*.txt"))),
            hint="--data names the folder that holds ImageSets, JPEGImages and Annotations",
        )
    # DAVIS-2016's own list has one line a frame: /JPEGImages/480p/<clip>/00000.jpg /Annotations/…
    lines = [line.split()[0] for line in source.read_text().splitlines() if line.strip()]
    names = list(dict.fromkeys(Path(x).parent.name if x.startswith("/") else x for x in lines))
    if not names:
        raise DatasetError(f"the list {str(source)!r} is empty.", expected="one clip name a line")
    unsafe = [name for name in names if Path(name).name != name or name in {".", ".."}]
    if unsafe:
        raise DatasetError(
            f"the list {str(source)!r} names a folder elsewhere.",
            expected="clip names without a path",
            found=repr(unsafe[0]),
        )
    return names


def _open_clip(
    root: Path, name: str, *, binary: bool, first_only: bool, pool: ThreadPoolExecutor
) -> Clip:
    frames = _frames(root, name)
    known = {path.stem: path for path in mask_files(root / "Annotations" / RESOLUTION / name)}
    wanted = frames[:1] if first_only else frames
    missing = [path.stem for path in wanted if path.stem not in known]
    if missing:
        folder = root / "Annotations" / RESOLUTION / name
        raise DatasetError(
            f"clip {name!r} lacks the mask {str(folder / missing[0])}.png"
            + (f" and {len(missing) - 1} more." if len(missing) > 1 else "."),
            expected=f"a mask for {'the first frame' if first_only else 'every frame'}",
            found=f"{len(known)} masks, {len(frames)} frames",
        )
    sizes = list(pool.map(_image_size, frames))
    size = _common_size(frames, sizes)
    masks = tuple(known[path.stem] for path in wanted)
    tops = list(pool.map(lambda path: _check_mask(path, size, binary=binary), masks))
    if tops[0] == 0:
        raise DatasetError(
            f"the first mask of clip {name!r} is empty: {str(masks[0])!r}.",
            expected="at least one object to follow",
            found="background only",
        )
    late = [index for index, top in enumerate(tops) if top > tops[0]]
    if late:
        raise DatasetError(
            f"the mask {str(masks[late[0]])!r} shows an object that the first frame does not.",
            expected=f"labels 0 to {tops[0]}, as in {masks[0].name}, or 255 for void",
            found=f"label {tops[late[0]]}",
            hint="masks of 0 and 255 are DAVIS-2016's: add --year 2016",
        )
    return Clip(name, frames, masks, *size, objects=tops[0], binary=binary)


def _frames(root: Path, name: str) -> tuple[Path, ...]:
    folder = root / "JPEGImages" / RESOLUTION / name
    frames = tuple(sorted(folder.glob("*.jpg")))
    if len(frames) < SHORTEST:
        others = sorted(path.name for path in (root / "JPEGImages").glob("*") if path.is_dir())
        raise DatasetError(
            f"clip {name!r} has {len(frames)} frames in {str(folder)!r}.",
            expected=f"at least {SHORTEST} JPEG frames, at {RESOLUTION}",
            found=f"resolutions {listed(others)}" if not frames else f"{len(frames)} frames",
        )
    numbers = [int(path.stem) for path in frames if path.stem.isdigit()]
    gaps = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers)) if numbers else []
    if gaps:
        raise DatasetError(
            f"clip {name!r} lacks the frame {str(folder)}/{gaps[0]:05d}.jpg"
            + (f" and {len(gaps) - 1} more." if len(gaps) > 1 else "."),
            expected="frames numbered without a gap",
            found=f"{len(frames)} frames from {frames[0].name} to {frames[-1].name}",
        )
    return frames


def _common_size(frames: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the (height, width) of every frame of a clip."""
    for path, size in zip(frames, sizes, strict=True):
        if size != sizes[0]:
            raise DatasetError(
                f"the frame {str(path)!r} has another size than its clip.",
                expected=f"{_pixels(sizes[0])}, as {frames[0].name}",
                found=_pixels(size),
            )
    if min(sizes[0]) > SHORT_SIDE:
        raise DatasetError(
            f"the frame {str(frames[0])!r} has the wrong resolution.",
            expected=f"a short side of {SHORT_SIDE} px at most in JPEGImages/{RESOLUTION}",
            found=_pixels(sizes[0]),
            hint="use DAVIS at 480p; J and F are defined there",
        )
    return sizes[0]


def _image_size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, "a whole JPEG image", str(error)) from error


def _check_mask(path: Path, size: tuple[int, int], *, binary: bool) -> int:
    """Check one mask and return its highest object number, void left out."""
    labels = read_labels(path, binary=binary)
    if labels.shape != size:
        raise DatasetError(
            f"the mask {str(path)!r} has another size than its frame.",
            expected=_pixels(size),
            found=_pixels((labels.shape[0], labels.shape[1])),
        )
    return int(labels.max(where=labels != VOID, initial=0))


def _unreadable(path: Path, expected: str, reason: str = "") -> DatasetError:
    found = "no such file" if not path.exists() else reason or "a file that can't be decoded"
    return DatasetError(f"{str(path)!r} can't be read.", expected=expected, found=found)


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} pixels (height x width)"


def _labels(labels: Pixels) -> str:
    return listed([str(value) for value in np.unique(labels).tolist()])


