"""Small copies of images in a few tar files: WebDataset shards that unpack to the same folders."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath

from PIL import Image

from vitbench.data.folders import open_class_folders
from vitbench.data.image_files import ImageFiles, find_images
from vitbench.data.shards import INDEX
from vitbench.data.split_folders import split_folder
from vitbench.data.stored import NAME_FILES
from vitbench.errors import DatasetNotFound
from vitbench.keyed_random import permutation
from vitbench.records import atomic, sweep
from vitbench.settings import setting

TRAIN, HELD_OUT = "train", "val"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Size, quality and shards of the small copies."""

    size: int = setting(
        128, help="shorter side of a copy in pixels; smaller images keep their size", minimum=1
    )
    quality: int = setting(75, help="JPEG quality of the copies", minimum=1, maximum=95)
    shard_megabytes: int = setting(10, help="size of a shard in megabytes", minimum=1)
    workers: int = setting(2, help="threads that decode and encode", minimum=1)


@dataclass(frozen=True, slots=True)
class Split:
    """The images that are packed under one name."""

    name: str
    images: ImageFiles
    classes: Sequence[str] = ()  # by number
    labels: Mapping[str, int] = field(default_factory=dict)  # by image id; of all images or none

    def __str__(self) -> str:
        if self.labels:
            return f"{self.name}: {len(self.images):,} images of {len(self.classes)} classes"
        return f"{self.name}: {len(self.images):,} images without classes"


@dataclass(frozen=True, slots=True)
class Copy:
    """A small copy of an image, as it goes into a shard."""

    name: str  # without a suffix
    jpeg: bytes
    label: int | None

    def write(self, shard: tarfile.TarFile) -> None:
        """Add the image and, beside it, the number of its class."""
        label = {} if self.label is None else {".cls": str(self.label).encode()}
        for suffix, data in {".jpg": self.jpeg, **label}.items():
            facts = tarfile.TarInfo(self.name + suffix)
            facts.size = len(data)
            shard.addfile(facts, io.BytesIO(data))


def pack_folder(
    root: Path,
    out: Path,
    packing: Packing,
    *,
    log: Callable[[str], None] = lambda _: None,
    callback: Callable[[str], None] = lambda _: None,
) -> int:
    """Pack `train/` and `val/` of a folder, or all of its images, in a shuffled order.

    Members are called as the files are, `train/<class>/<name>.jpg`: unpacking all shards into a
    folder gives classification folders again. Where every image of a split has a class, its number
    lies beside the image, `train/<class>/<name>.cls`, and `classes.txt` names the classes: the
    shards are a classification set too, with the classes and the numbers of the folder.

    Args:
        root: The folder with the images.
        out: Where `train-00000.tar`, … and the index go.
        packing: How small.
        log: Told of each split how many images it has, and of how many classes.
        callback: Told the name of each shard that was written.

    Returns:
        Bytes of all shards.

    Raises:
        DatasetNotFound: There are no images.
        DatasetError: A class of train/ has no image, or one of val/ is not in train/.
    """
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    counts: dict[str, int] = {}
    for split in splits(root):
        log(str(split))
        if split.labels:
            with atomic(out / NAME_FILES[0]) as path:
                path.write_text("".join(f"{name}\n" for name in split.classes), encoding="utf-8")
        for name, copies in _parts(split, packing):
            with atomic(out / name) as path, tarfile.open(path, "w") as shard:
                for copy in copies:
                    copy.write(shard)
            counts[name] = len(copies)
            callback(name)
    with atomic(out / INDEX) as path:
        path.write_text(json.dumps(counts, indent=1) + "\n")
    return sum((out / name).stat().st_size for name in counts)


def splits(root: Path) -> list[Split]:
    """List the training images and, where there are some, the held-out ones."""
    images = find_images(root)
    held_out = split_folder(root, HELD_OUT) if images.root != root else None
    # the training images of other layouts lie in folders that are no classes
    train = _labeled(TRAIN, images) if images.root in {root, root / TRAIN} else Split(TRAIN, images)
    if held_out is None:
        return [train]
    return [train, _labeled(HELD_OUT, find_images(held_out), train.classes)]


def _labeled(name: str, images: ImageFiles, known: Sequence[str] = ()) -> Split:
    """Give the images of a split their classes, if all of them have one."""
    try:
        found = open_class_folders(images.root.parent, images.root, name, known)
    except DatasetNotFound:
        return Split(name, images)
    numbers = dict(zip(found.ids, found.targets, strict=True))
    labels = {image: numbers.get(f"{images.root.name}/{image}", -1) for image in images.ids}
    if -1 in labels.values():  # a set with a class for some of its images could not be opened
        return Split(name, images)
    return Split(name, images, found.class_names, labels)


def _parts(split: Split, packing: Packing) -> Iterator[tuple[str, list[Copy]]]:
    """Yield each shard's name and what it holds."""
    images = split.images
    order = permutation(0, "pack", length=len(images)).tolist()
    names, copies, size, taken = count(), list[Copy](), 0, set[str]()
    with ThreadPoolExecutor(packing.workers) as pool:
        encoded = pool.map(partial(small, images, packing), order)
        for index, jpeg in zip(order, encoded, strict=True):
            if size + len(jpeg) > packing.shard_megabytes * 2**20 and copies:
                yield f"{split.name}-{next(names):05}.tar", copies
                copies, size = [], 0
            image = images.ids[index]
            copies.append(Copy(_name(split.name, image, taken), jpeg, split.labels.get(image)))
            size += len(jpeg)
    yield f"{split.name}-{next(names):05}.tar", copies


def _name(split: str, image: str, taken: set[str]) -> str:
    """Name an image in a shard: no dot but the suffix's, for a dot ends the name of a sample."""
    path = PurePosixPath(split, image)
    name = path.with_name(path.stem.replace(".", "_"))
    while str(name) in taken:
        name = name.with_name(f"{name.name}_")
    taken.add(str(name))
    return str(name)


def small(images: ImageFiles, packing: Packing, index: int) -> bytes:
    """Shrink an image and encode it; raises CorruptImage."""
    image = Image.fromarray(images.read(index))
    share = packing.size / min(image.size)
    if share < 1:
        width, height = (max(1, round(side * share)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=packing.quality, progressive=True)
    return buffer.getvalue()
