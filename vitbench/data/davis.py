"""Clips as DAVIS lays them out, or bare folders of label maps; all is checked when it is opened.

    ImageSets/2017/<split>.txt          clip names, one a line
    JPEGImages/480p/<clip>/00000.jpg    frames, or 00000.png
    Annotations/480p/<clip>/00000.png   label maps: 0 background, 1.. objects, 255 void

The split `test-dev` has a mask for each clip's first frame only. A split that starts with `2016/`
reads DAVIS-2016: one object a clip, masks of 0 and 255.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

from PIL import Image

from vitbench.bounds import LARGEST_IMAGE, LARGEST_LIST, LONGEST_NAME
from vitbench.data.clips import (
    VOID,
    Clip,
    ClipDataset,
    frame_files,
    mask_files,
    read_labels,
)
from vitbench.errors import DatasetError, DatasetNotFound, listed
from vitbench.outside_files import AS_UTF8, parsing, read_bytes, read_text
from vitbench.records import DatasetInfo

RESOLUTION = "480p"
SHORT_SIDE = 480  # px, at most
ORIENTATION, UPRIGHT = 0x0112, 1  # EXIF's tag, and its value where nothing is to be turned
SHORTEST = 3  # frames: the first and the last are never scored


def open_clips(root: Path, split: str) -> ClipDataset:
    """Open and check the clips of one split: `val`, `train`, `test-dev`, `2016/val`, ….

    A folder that holds one folder of label maps a clip, without a DAVIS layout around it, opens as
    clips without frames, whatever the split: something to compare predictions with.

    Raises:
        DatasetNotFound: The root holds no clips, or not this split.
        DatasetError: A frame or mask is missing, unreadable, of another size, or not a label
            map; a first mask is empty; a later mask shows an object that the first does not. The
            message names the file.
    """
    with ThreadPoolExecutor() as pool:
        if (root / "ImageSets").is_dir():
            names = clip_names(root, split)
            clips = [_open_clip(root, name, split, pool) for name in names]
        else:
            clips = [_open_masks(folder, pool) for folder in mask_folders(root, split)]
    info = DatasetInfo(
        name=root.name,
        split=split,
        kind="clips",
        items=len(clips),
        item_noun="clips",
    )
    return ClipDataset(info, clips)


def _split_list(root: Path, split: str) -> Path:
    """Return the file that names the clips of a split."""
    year, _, name = split.rpartition("/")
    folders = (year, RESOLUTION) if year else ("2017",)  # DAVIS-2016's own list is in 480p
    lists = [root / "ImageSets" / folder / f"{name}.txt" for folder in folders]
    source = next((path for path in lists if path.is_file()), None)
    if source is None:
        known = sorted(path.relative_to(root).as_posix() for path in root.glob("ImageSets/*/*.txt"))
        raise DatasetNotFound(
            f"{str(root)!r} has no split {split!r} of clips.",
            expected=f"{lists[0].relative_to(root).as_posix()}, the names of its clips",
            found=listed(known),
        )
    return source


def clip_names(root: Path, split: str) -> list[str]:
    """Read the clip names of a split from its list.

    Raises:
        DatasetNotFound: There is no such list.
        DatasetError: The list can't be read, or does not name clips.
    """
    source = _split_list(root, split)
    # one clip a line; DAVIS-2016 has one frame a line: /JPEGImages/480p/<clip>/00000.jpg …
    lines = [line.split()[0] for line in _read_list(source).splitlines() if line.strip()]
    names = list(dict.fromkeys(Path(x).parent.name if x.startswith("/") else x for x in lines))
    outside = [name for name in names if not _is_name(name)]
    if outside or not names:
        raise DatasetError(
            f"the list {str(source)!r} does not name clips.",
            expected="one clip name a line",
            found=repr(outside[0]) if outside else "an empty file",
        )
    return names


def _read_list(source: Path) -> str:
    with parsing(
        f"the list {str(source)!r}", expected="UTF-8 text, one clip name a line", hint=AS_UTF8
    ):
        return read_text(source, LARGEST_LIST)


def _is_name(name: str) -> bool:
    """Tell whether a name is one of a folder, no path and no hidden file."""
    plain = Path(name).name == name and not name.startswith(".") and "\0" not in name
    return plain and len(name.encode()) <= LONGEST_NAME


def _open_clip(root: Path, name: str, split: str, pool: ThreadPoolExecutor) -> Clip:
    frames = _frames(root, name)
    folder = root / "Annotations" / RESOLUTION / name
    known = {path.stem: path for path in mask_files(folder)}
    first_only, binary = split.startswith("test-"), split.startswith("2016/")
    wanted = frames[:1] if first_only else frames
    missing = [path.stem for path in wanted if path.stem not in known]
    if missing:
        raise DatasetError(
            f"the mask '{folder / missing[0]}.png' is missing{_more(missing)}.",
            expected=f"a mask for {'the first frame' if first_only else 'every frame'}",
            found=f"{len(known)} masks, {len(frames)} frames",
        )
    height, width = common_size(frames, list(pool.map(image_size, frames)))
    masks = tuple(known[path.stem] for path in wanted)
    tops = list(pool.map(lambda path: _top(path, (height, width), binary=binary), masks))
    late = [index for index, top in enumerate(tops) if top > tops[0]]
    if late and tops[0]:
        raise DatasetError(
            f"the mask {str(masks[late[0]])!r} shows an object that the first frame does not.",
            expected=f"labels 0 to {tops[0]}, as in {masks[0].name}, or {VOID} for void",
            found=f"label {tops[late[0]]}",
            hint="--late-objects follows objects from the frame on in which they first appear",
        )
    return _with_objects(Clip(name, frames, masks, height, width, tops[0], binary))


def mask_folders(root: Path, split: str) -> list[Path]:
    """Return the folders of a root that hold label maps, one a clip.

    Raises:
        DatasetNotFound: There are none.
    """
    folders = [
        path
        for path in sorted(root.iterdir())
        if path.is_dir() and not path.name.startswith(".") and mask_files(path)
    ]
    if not folders:
        raise DatasetNotFound(
            f"{str(root)!r} has no split {split!r} of clips.",
            expected="ImageSets, JPEGImages and Annotations, or one folder of masks a clip",
            found=listed(sorted(path.name for path in root.iterdir())),
            hint="--data names the folder that holds ImageSets",
        )
    return folders


def _open_masks(folder: Path, pool: ThreadPoolExecutor) -> Clip:
    masks = mask_files(folder)
    if len(masks) < SHORTEST:
        raise DatasetError(
            f"clip {folder.name!r} is too short: {str(folder)!r}.",
            expected=f"at least {SHORTEST} masks: the first and the last are never scored",
            found=f"{len(masks)}",
        )
    size = read_labels(masks[0]).shape
    height, width = size[0], size[1]
    tops = list(pool.map(lambda path: _top(path, (height, width), binary=False), masks))
    return _with_objects(Clip(folder.name, (), masks, height, width, tops[0]))


def _with_objects(clip: Clip) -> Clip:
    if not clip.objects:
        raise DatasetError(
            f"the first mask of clip {clip.id!r} is empty: {str(clip.masks[0])!r}.",
            expected="at least one object to follow",
            found="background only",
            hint="masks of 0 and 255 are DAVIS-2016's: add --year 2016",
        )
    return clip


def _frames(root: Path, name: str) -> tuple[Path, ...]:
    folder = root / "JPEGImages" / RESOLUTION / name
    frames = frame_files(folder)
    if len(frames) < SHORTEST:
        others = sorted(path.name for path in (root / "JPEGImages").glob("*") if path.is_dir())
        raise DatasetError(
            f"clip {name!r} has too few frames in {str(folder)!r}.",
            expected=f"at least {SHORTEST} frames, at {RESOLUTION}",
            found=f"{len(frames)} frames" if frames else f"resolutions {listed(others)}",
        )
    numbers = [int(path.stem) for path in frames if path.stem.isdigit()]
    gaps = sorted(set(range(numbers[0], numbers[-1])) - set(numbers)) if numbers else []
    if gaps:
        names = [f"{number:0{len(frames[0].stem)}d}" for number in gaps]
        raise DatasetError(
            f"the frame '{folder / names[0]}{frames[0].suffix}' is missing{_more(names)}.",
            expected="frames numbered without a gap",
            found=f"{len(frames)} frames from {frames[0].name} to {frames[-1].name}",
        )
    return frames


def common_size(
    frames: Sequence[Path], sizes: Sequence[tuple[int, int]], *, largest: int = SHORT_SIDE
) -> tuple[int, int]:
    """Return the (height, width) of every frame of a clip.

    Args:
        frames: The files, for messages.
        sizes: The size of each.
        largest: Largest short side that is allowed, in pixels.

    Raises:
        DatasetError: Sizes differ, or the short side is larger.
    """
    for path, size in zip(frames, sizes, strict=True):
        if size != sizes[0]:
            raise DatasetError(
                f"the frame {str(path)!r} has another size than its clip.",
                expected=f"{_pixels(sizes[0])}, as {frames[0].name}",
                found=_pixels(size),
            )
    if min(sizes[0]) > largest:
        raise DatasetError(
            f"the frame {str(frames[0])!r} has the wrong resolution.",
            expected=f"a short side of {SHORT_SIDE} px at most in JPEGImages/{RESOLUTION}",
            found=_pixels(sizes[0]),
            hint="use DAVIS at 480p, where J and F are defined",
        )
    return sizes[0]


def image_size(path: Path) -> tuple[int, int]:
    """Return the (height, width) of a frame whose file is whole."""
    with parsing(f"the frame {str(path)!r}", expected="a whole JPEG or PNG image"):
        image = Image.open(BytesIO(read_bytes(path, LARGEST_IMAGE)))
        size, deep = (image.height, image.width), _is_deep(image)
        turned = image.getexif().get(ORIENTATION, UPRIGHT)
        image.draft("RGB", (1, 1))  # all bits are read, an eighth of the pixels made
        image.load()
    if deep:
        raise DatasetError(
            f"the frame {str(path)!r} has more than 8 bits a channel.",
            expected="8 bits a channel, as the published frames have",
            found=f"16 bits or floating point (mode {image.mode})",
            hint="save the frames with 8 bits, by a scaling of your choice",
        )
    if turned not in (0, UPRIGHT):
        raise DatasetError(
            f"the frame {str(path)!r} is to be turned by its EXIF tag.",
            expected="frames that are stored upright, as their masks are",
            found=f"orientation {turned}",
            hint="turn the pixels and drop the tag where the frames are made",
        )
    return size


def _is_deep(image: Image.Image) -> bool:
    """Tell whether a file has more than 8 bits a channel; PIL hides it where it reads RGB."""
    raw = [str(part) for tile in getattr(image, "tile", []) for part in tile[3:]]
    return image.mode[0] in "IF" or any(";16" in part for part in raw)


def _top(path: Path, size: tuple[int, int], *, binary: bool) -> int:
    """Check one mask and return its highest object number, void left out."""
    labels = read_labels(path, binary=binary)
    if labels.shape != size:
        raise DatasetError(
            f"the mask {str(path)!r} has another size than its clip.",
            expected=_pixels(size),
            found=_pixels((labels.shape[0], labels.shape[1])),
        )
    return int(labels.max(where=labels != VOID, initial=0))


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} pixels (height x width)"


def _more(names: Sequence[str]) -> str:
    return f", and {len(names) - 1} more" if len(names) > 1 else ""
