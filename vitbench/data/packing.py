"""Small copies of images in a few tar files: WebDataset shards that unpack to the same folders."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath

from PIL import Image

from vitbench.data.image_files import ImageFiles, find_images
from vitbench.data.shards import INDEX
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


def pack_folder(
    root: Path, out: Path, packing: Packing, *, callback: Callable[[str], None] = lambda _: None
) -> int:
    """Pack `train/` and `val/` of a folder, or all of its images, in a shuffled order.

    Members are called as the files are, `train/<class>/<name>.jpg`: unpacking all shards into a
    folder gives classification folders again.

    Args:
        root: The folder with the images.
        out: Where `train-00000.tar`, … and the index go.
        packing: How small.
        callback: Told the name of each shard that was written.

    Returns:
        Bytes of all shards.

    Raises:
        DatasetNotFound: There are no images.
    """
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    counts: dict[str, int] = {}
    for split in splits(root):
        for name, members in _parts(split, packing):
            with atomic(out / name) as path, tarfile.open(path, "w") as shard:
                for member, data in members:
                    facts = tarfile.TarInfo(member)
                    facts.size = len(data)
                    shard.addfile(facts, io.BytesIO(data))
            counts[name] = len(members)
            callback(name)
    with atomic(out / INDEX) as path:
        path.write_text(json.dumps(counts, indent=1) + "\n")
    return sum((out / name).stat().st_size for name in counts)


def splits(root: Path) -> list[ImageFiles]:
    """List the training images and, where there are some, the held-out ones."""
    found = [find_images(root)]
    if found[0].root != root and (root / HELD_OUT).is_dir():
        found.append(find_images(root / HELD_OUT))
    return found


def _parts(images: ImageFiles, packing: Packing) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Yield each shard's name and members."""
    split = HELD_OUT if images.root.name == HELD_OUT else TRAIN
    order = permutation(0, "pack", length=len(images)).tolist()
    names, members, size, taken = count(), list[tuple[str, bytes]](), 0, set[str]()
    with ThreadPoolExecutor(packing.workers) as pool:
        encoded = pool.map(partial(small, images, packing), order)
        for index, data in zip(order, encoded, strict=True):
            if size + len(data) > packing.shard_megabytes * 2**20 and members:
                yield f"{split}-{next(names):05}.tar", members
                members, size = [], 0
            members.append((_member(split, images.ids[index], taken), data))
            size += len(data)
    yield f"{split}-{next(names):05}.tar", members


def _member(split: str, image: str, taken: set[str]) -> str:
    """Name an image in a shard: no dot but the suffix's, for a dot ends the name of a sample."""
    path = PurePosixPath(split, image)
    name = path.stem.replace(".", "_")
    while str(path.with_name(f"{name}.jpg")) in taken:
        name += "_"
    taken.add(str(path.with_name(f"{name}.jpg")))
    return str(path.with_name(f"{name}.jpg"))


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
