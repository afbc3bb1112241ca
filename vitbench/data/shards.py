"""WebDataset shards, local or at any fsspec URL: tar files read from front to back.

The shards of an epoch are dealt to lanes. Each lane shuffles what it reads within a buffer and
gives an equal part of every batch; a process reads some of the lanes. So the batches depend on the
number of lanes, which follows from the shards and the batch size, not on the number of processes.
"""

import json
import tarfile
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import PurePosixPath
from typing import Any

from vitbench.data.dataset import find_root
from vitbench.data.folders import SUFFIXES
from vitbench.data.image_files import Images, decode_named, find_images
from vitbench.data.sources import Candidate, Place, Share
from vitbench.draws import permutation, uniforms
from vitbench.errors import DatasetError, DatasetNotFound, MissingDependency, SettingError

INDEX = "index.json"  # images of each shard, so that nothing is read to count them
MOST_LANES = 64
SHUFFLED = 8192  # images in the buffers of all lanes together
BATCHES_AHEAD = 2
DRAWN_AT_ONCE = 1024

Encoded = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Shards:
    """Tar files of images."""

    urls: tuple[str, ...]
    counts: tuple[int, ...]  # images of each

    def __len__(self) -> int:
        return sum(self.counts)

    def batches(self, share: Share, *, epoch: int, first_step: int) -> Iterator[list[Place]]:
        """Yield a process's places of each batch of an epoch, from a step on.

        Raises:
            SettingError: The lanes do not divide among the processes.
        """
        lanes = self.lanes(share.batch_size)
        if lanes % share.processes:
            raise SettingError(
                [
                    f"{len(self.urls)} shards and a batch of {share.batch_size} give {lanes} "
                    f"lanes, expected a multiple of {share.processes} processes"
                ]
            )
        each, mine = share.batch_size // lanes, lanes // share.processes
        readers = [
            self._lane(share.seed, epoch, lane, lanes)
            for lane in range(share.rank * mine, (share.rank + 1) * mine)
        ]
        pools = [ThreadPoolExecutor(1) for _ in readers]
        waiting: deque[list[Future[list[Encoded]]]] = deque()
        try:
            for step in range(first_step, len(self) // share.batch_size):
                skip = step * each if step == first_step else 0
                waiting.append(
                    [
                        pool.submit(_take, reader, skip, each)
                        for pool, reader in zip(pools, readers, strict=True)
                    ]
                )
                if len(waiting) > BATCHES_AHEAD:
                    yield _places(waiting.popleft())
            while waiting:
                yield _places(waiting.popleft())
        finally:
            for pool in pools:
                pool.shutdown(cancel_futures=True)

    def lanes(self, batch_size: int) -> int:
        """Give the most lanes that a batch divides among, none without a shard."""
        most = min(MOST_LANES, len(self.urls), batch_size)
        return next(lanes for lanes in range(most, 0, -1) if batch_size % lanes == 0)

    def _lane(self, seed: int, epoch: int, lane: int, lanes: int) -> Iterator[Encoded]:
        """Yield a lane's images, shuffled within a buffer; and again, should a batch need more."""
        mine = permutation(seed, "shards", epoch, length=len(self.urls))[lane::lanes].tolist()
        size = max(1, SHUFFLED // lanes)
        while True:
            images = (image for shard in mine for image in read_shard(self.urls[shard]))
            buffer = list(islice(images, size))
            if not buffer:
                return
            slots = _slots(seed, epoch, lane, len(buffer))
            for image, slot in zip(images, slots, strict=False):
                yield buffer[slot]
                buffer[slot] = image
            for slot in permutation(seed, "rest", epoch, lane, length=len(buffer)).tolist():
                yield buffer[slot]


def read_shard(url: str) -> Iterator[Encoded]:
    """Yield name and bytes of each image of a tar file, in its order.

    Raises:
        MissingDependency: The packages for shards are not installed.
        DatasetNotFound: Nothing is there.
    """
    fsspec, iterate = _packages()
    try:
        with fsspec.open(url, "rb") as stream:
            for item in iterate(stream, select_files=is_image):
                yield item["fname"], item["data"]
    except FileNotFoundError as error:
        raise DatasetNotFound(f"no shard at {url!r}.") from error


def open_training_images(name: str) -> Images | Shards:
    """Open what a run trains on: shards, or a folder of images by path or dataset name.

    Raises:
        DatasetNotFound: There is no such thing.
    """
    if is_shards(name):
        return open_shards(name)
    root = find_root(name)
    return open_shards(str(root)) if any(root.glob("*.tar")) else find_images(root)


def open_shards(spec: str) -> Shards:
    """List shards: a folder (its `train-*.tar`, or all), one file, or a pattern such as `s3://bucket/x-{000..099}.tar`.

    Raises:
        DatasetNotFound: There are none.
    """
    try:
        urls = _urls(spec)
        return Shards(tuple(urls), tuple(_counts(urls)))
    except (ImportError, ValueError, tarfile.TarError) as error:  # "Install s3fs to access S3"
        raise DatasetError(f"the shards {spec!r} can't be read.", found=str(error)) from error


def _urls(spec: str) -> list[str]:
    fsspec, _ = _packages()
    from webdataset.shardlists import expand_urls

    urls = [spec]
    if not spec.endswith(".tar"):
        files, path = fsspec.core.url_to_fs(spec)
        names = files.glob(f"{path}/train-*.tar") or files.glob(f"{path}/*.tar")
        urls = sorted(files.unstrip_protocol(name) for name in names)
    elif "{" in spec:
        urls = list(expand_urls(spec))
    if not urls:
        raise DatasetNotFound(f"no shards at {spec!r}.", expected="files ending in .tar")
    return urls


def is_shards(spec: str) -> bool:
    """Whether a dataset's name can only mean shards: a tar file or pattern, or a URL."""
    return spec.endswith(".tar") or "://" in spec


def is_image(name: str) -> bool:
    """Whether a member of a tar file is an image, by its name."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _counts(urls: list[str]) -> Iterator[int]:
    """Count the images of each shard: from the index beside it, or by reading its headers."""
    fsspec, _ = _packages()
    indices: dict[str, dict[str, int]] = {}
    for url in urls:
        folder, _, name = url.rpartition("/")
        if folder not in indices:
            try:
                with fsspec.open(f"{folder}/{INDEX}" if folder else INDEX) as file:
                    indices[folder] = json.load(file)
            except FileNotFoundError:
                indices[folder] = {}
        if name in indices[folder]:
            yield indices[folder][name]
            continue
        try:
            with fsspec.open(url, "rb") as stream, tarfile.open(fileobj=stream) as shard:
                yield sum(is_image(member.name) for member in shard)
        except FileNotFoundError as error:
            raise DatasetNotFound(f"no shard at {url!r}.") from error


def _slots(seed: int, epoch: int, lane: int, size: int) -> Iterator[int]:
    """Draw places in a lane's buffer without end."""
    for part in count():
        drawn = uniforms(seed, "buffer", epoch, lane, part, count=DRAWN_AT_ONCE)
        yield from (drawn * size).astype(int).tolist()


def _take(reader: Iterator[Encoded], skip: int, each: int) -> list[Encoded]:
    return list(islice(reader, skip, skip + each))


def _places(taken: list[Future[list[Encoded]]]) -> list[Place]:
    """Make places of what each lane read; a broken image is replaced by its lane's next."""
    places = []
    for lane in taken:
        candidates = [
            Candidate(zlib.crc32(name.encode()), name, partial(decode_named, name, data))
            for name, data in lane.result()
        ]
        for number, first in enumerate(candidates):
            places.append(Place(first.index, candidates[number:] + candidates[:number]))
    return places


def _packages() -> tuple[Any, Any]:
    """Import fsspec and webdataset's reader of tar files."""
    try:
        import fsspec
        from webdataset.tariterators import tar_file_iterator
    except ImportError as error:
        raise MissingDependency(
            error.name or "webdataset", needed_for="reading shards", extra="shards"
        ) from error
    return fsspec, tar_file_iterator
