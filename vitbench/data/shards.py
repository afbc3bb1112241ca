"""WebDataset shards, local or at any fsspec URL: tar files read from front to back.

The shards of an epoch are dealt to lanes. Each lane shuffles what it reads within a buffer and
gives an equal part of every batch; a process reads some of the lanes. So the batches depend on the
number of lanes, which follows from the shards and the batch size, not on the number of processes.
"""

import json
import re
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from math import prod
from typing import Any

from vitbench.bounds import LARGEST_DOCUMENT, MOST_IMAGES, MOST_SHARDS
from vitbench.data.dataset import find_root
from vitbench.data.decode import decode
from vitbench.data.image_files import NOT_FOR_TRAINING, Images, find_images, train_folder
from vitbench.data.listing import is_hidden
from vitbench.data.sampler import Candidate, RankSlice, Slot
from vitbench.data.tar_files import Encoded, count_images, read_images
from vitbench.errors import (
    DatasetError,
    DatasetNotFound,
    MissingDependency,
    SettingError,
)
from vitbench.keyed_random import keyed_uniform, permutation
from vitbench.outside_files import parsing, reason, refused_as

INDEX = "index.json"  # images of each shard, so that nothing is read to count them
MOST_LANES = 64
SHUFFLED = 8192  # images in the buffers of all lanes together
BATCHES_AHEAD = 2
DRAWN_AT_ONCE = 1024
RANGE = re.compile(r"\{(-?\d+)\.\.(-?\d+)(?:\.\.-?\d+)?\}")


@dataclass(frozen=True, slots=True)
class Shards:
    """Tar files of images."""

    urls: tuple[str, ...]
    counts: tuple[int, ...]  # images of each

    def __len__(self) -> int:
        return sum(self.counts)

    @property
    def root(self) -> str:
        """The folder or the URL that the shards lie in."""
        return self.urls[0].rpartition("/")[0]

    def batches(
        self, rank_slice: RankSlice, *, epoch: int, first_step: int
    ) -> Iterator[list[Slot]]:
        """Yield a process's slots of each batch of an epoch, from a step on.

        Raises:
            DatasetError: A shard is damaged, or does not hold the images that were counted.
            SettingError: The lanes do not divide among the processes.
        """
        lanes = self.lanes(rank_slice.batch_size, rank_slice.processes)
        if lanes % rank_slice.processes:
            raise SettingError(
                [
                    f"{len(self.urls)} shards and a batch of {rank_slice.batch_size} give {lanes} "
                    f"lanes, expected a multiple of {rank_slice.processes} processes"
                ],
                hint=f"a --batch-size that is a multiple of {rank_slice.processes}, and at least as"
                " many shards: vitbench data pack --shard-megabytes makes more of them",
            )
        each, mine = rank_slice.batch_size // lanes, lanes // rank_slice.processes
        readers = [
            self._lane(rank_slice.seed, epoch, lane, lanes)
            for lane in range(rank_slice.rank * mine, (rank_slice.rank + 1) * mine)
        ]
        pools = [ThreadPoolExecutor(1) for _ in readers]
        waiting: deque[list[Future[list[Encoded]]]] = deque()
        try:
            for step in range(first_step, len(self) // rank_slice.batch_size):
                skip = step * each if step == first_step else 0
                waiting.append(
                    [
                        pool.submit(_take, reader, skip, each)
                        for pool, reader in zip(pools, readers, strict=True)
                    ]
                )
                if len(waiting) > BATCHES_AHEAD:
                    yield _to_slots(waiting.popleft())
            while waiting:
                yield _to_slots(waiting.popleft())
        finally:
            for pool in pools:
                pool.shutdown(cancel_futures=True)

    def lanes(self, batch_size: int, processes: int = 1) -> int:
        """Give the most lanes that a batch divides among, none without a shard.

        There are as many on any number of processes up to 64; more processes have one each.
        """
        most = min(max(MOST_LANES, processes), len(self.urls), batch_size)
        return next(lanes for lanes in range(most, 0, -1) if batch_size % lanes == 0)

    def _lane(self, seed: int, epoch: int, lane: int, lanes: int) -> Iterator[Encoded]:
        """Yield a lane's images, shuffled within a buffer; and again, should a batch need more."""
        mine = permutation(seed, "shards", epoch, length=len(self.urls))[lane::lanes].tolist()
        size = max(1, SHUFFLED // lanes)
        while True:
            images = (image for shard in mine for image in self._whole(shard))
            buffer = list(islice(images, size))
            if not buffer:
                return
            places = _places(seed, epoch, lane, len(buffer))
            for image, place in zip(images, places, strict=False):
                yield buffer[place]
                buffer[place] = image
            for place in permutation(seed, "rest", epoch, lane, length=len(buffer)).tolist():
                yield buffer[place]

    def _whole(self, shard: int) -> Iterator[Encoded]:
        """Yield the images of one shard; refuse it if they are not as many as were counted."""
        read = 0
        for image in read_shard(self.urls[shard]):
            read += 1
            yield image
        if read != self.counts[shard]:
            raise DatasetError(
                f"the shard {self.urls[shard]!r} holds other images than when it was counted.",
                expected=f"{self.counts[shard]} images, as {INDEX} or its headers said",
                found=f"{read} images",
                hint=f"restore the shard, or remove {INDEX}: shards are counted then",
            )


def read_shard(url: str) -> Iterator[Encoded]:
    """Yield name and bytes of each image of a tar file, in its order.

    Raises:
        MissingDependency: The packages for shards are not installed.
        DatasetNotFound: Nothing is there.
        DatasetError: The file can't be read, is damaged or cut off.
    """
    fsspec, _ = _packages()
    with _named(url), fsspec.open(url, "rb") as stream:
        yield from read_images(stream)


def open_training_images(name: str) -> Images | Shards:
    """Open the images of a training: shards, or a folder of images by path or dataset name.

    Raises:
        DatasetNotFound: There is no such thing.
    """
    if is_shards(name):
        return open_shards(name)
    root = find_root(name)
    if train_folder(root) == root and any(root.glob("*.tar")):
        return open_shards(str(root))
    return find_images(root)


def open_shards(spec: str) -> Shards:
    """List shards: of a folder, one file, or a pattern such as `s3://bucket/x-{000..099}.tar`.

    Of a folder those are taken that have the word `train` in their names; where none has it, all.

    Raises:
        MissingDependency: The packages for shards are not installed.
        DatasetNotFound: There are none.
        DatasetError: A shard or the index can't be read, a shard holds no image, or a folder holds
            shards of held-out images alone.
    """
    with _named(spec):
        urls = _urls(spec)
    counts = tuple(_counts(urls))
    empty = next((url for url, count in zip(urls, counts, strict=True) if not count), None)
    if empty is not None:
        raise DatasetError(
            f"the shard {empty!r} holds no image.",
            expected="tar files of images",
            found="other files only, or tar files in a tar file",
            hint="name the shards alone, or unpack them and name the folder of the images",
        )
    return Shards(tuple(urls), counts)


def _urls(spec: str) -> list[str]:
    fsspec, expand = _packages()
    urls = [spec]
    if not spec.endswith(".tar"):
        files, path = fsspec.core.url_to_fs(spec)
        names = [name for name in files.glob(f"{path}/*.tar") if not is_hidden(_file_name(name))]
        urls = sorted(files.unstrip_protocol(name) for name in _for_training(spec, names))
    elif "{" in spec:
        most = prod(abs(int(b) - int(a)) + 1 for a, b in RANGE.findall(spec))
        if most > MOST_SHARDS:
            raise SettingError(
                [f"{spec!r} stands for {most} shards, expected at most {MOST_SHARDS}"]
            )
        urls = list(expand(spec))
    if not urls:
        raise DatasetNotFound(f"no shards at {spec!r}.", expected="files ending in .tar")
    return urls


def _for_training(folder: str, names: list[str]) -> list[str]:
    """Choose the shards of a folder whose names have the word `train`, or all where none has it.

    Raises:
        DatasetError: None has it, and one is named as held-out images or labels are.
    """
    words = {name: re.split(r"[\W_]+", _file_name(name).lower()) for name in names}
    training = [name for name in names if "train" in words[name]]
    if training:
        return training
    for name in names:
        if any(NOT_FOR_TRAINING.fullmatch(word) for word in words[name]):
            raise DatasetError(
                f"not all shards of {folder!r} seem to be for training.",
                expected="training images alone, or shards with the word 'train' in their names",
                found=_file_name(name),
                hint="--data names the shards to train on, one file or a pattern: x-{000..099}.tar",
            )
    return names


def _file_name(url: str) -> str:
    return url.rpartition("/")[2]


def is_shards(spec: str) -> bool:
    """Whether a dataset's name can only mean shards: a tar file or pattern, or a URL."""
    return spec.endswith(".tar") or "://" in spec


def _counts(urls: list[str]) -> Iterator[int]:
    """Count the images of each shard: from the index beside it, or by reading its headers."""
    fsspec, _ = _packages()
    indices: dict[str, dict[str, object]] = {}
    for url in urls:
        folder, _, name = url.rpartition("/")
        if folder not in indices:
            with _named(url):
                indices[folder] = _read_index(f"{folder}/{INDEX}" if folder else INDEX)
        if name in indices[folder]:
            yield _promised(url, indices[folder][name])
            continue
        with _named(url), fsspec.open(url, "rb") as stream:
            yield count_images(stream)


def _read_index(url: str) -> dict[str, object]:
    """Read what an index says of each shard; none is an empty dict."""
    fsspec, _ = _packages()
    try:
        with fsspec.open(url, "rb") as file:
            content = file.read(LARGEST_DOCUMENT + 1)
    except OSError:  # some stores say "forbidden" of a file that they lack
        return {}
    if len(content) > LARGEST_DOCUMENT:
        raise _bad_index(url, f"more than {LARGEST_DOCUMENT:,} bytes")
    with refused_as(lambda error: _bad_index(url, reason(error))):
        found = json.loads(content)
    if not isinstance(found, dict):
        raise _bad_index(url, f"a {type(found).__name__}")
    return found


def _promised(url: str, images: object) -> int:
    """Return the number of images that an index gives a shard."""
    if type(images) is not int or not 0 < images <= MOST_IMAGES:
        raise _bad_index(url, f"{images!r} images in {_file_name(url)!r}")
    return images


def _bad_index(url: str, found: str) -> DatasetError:
    return DatasetError(
        f"the index of {url!r} can't be used.",
        expected='the number of images in each shard: {"x-000.tar": 1000}',
        found=found,
        hint=f"remove {INDEX}: shards are counted then",
    )


@contextmanager
def _named(url: str) -> Iterator[None]:
    """Name the shards in every error: file systems and compressions raise errors of all kinds."""
    with parsing(
        f"the shard {url!r}",
        expected="a whole tar file, at a path or URL that fsspec can open",
        hint="restore the shard, or install what its URL needs (s3:// needs s3fs)",
    ):
        try:
            yield
        except FileNotFoundError as error:
            raise DatasetNotFound(
                f"no shard at {url!r}.",
                expected="a tar file",
                found="no such file",
                hint="check the path, or the range of the pattern",
            ) from error


def _places(seed: int, epoch: int, lane: int, size: int) -> Iterator[int]:
    """Draw slots in a lane's buffer without end."""
    for part in count():
        drawn = keyed_uniform(seed, "buffer", epoch, lane, part, count=DRAWN_AT_ONCE)
        yield from (drawn * size).astype(int).tolist()


def _take(reader: Iterator[Encoded], skip: int, each: int) -> list[Encoded]:
    return list(islice(reader, skip, skip + each))


def _to_slots(taken: list[Future[list[Encoded]]]) -> list[Slot]:
    """Make slots of what each lane read; a broken image is replaced by its lane's next."""
    slots = []
    for lane in taken:
        candidates = [_candidate(image) for image in lane.result()]
        for number, first in enumerate(candidates):
            slots.append(Slot(first.index, candidates[number:] + candidates[:number]))
    return slots


def _candidate(image: Encoded) -> Candidate:
    name, _ = image
    return Candidate(zlib.crc32(name.encode()), name, partial(decode, *image), lambda: image)


def _packages() -> tuple[Any, Any]:
    """Import fsspec and webdataset's reading of patterns."""
    try:
        import fsspec
        from webdataset.shardlists import expand_urls
    except ImportError as error:
        raise MissingDependency(
            error.name or "webdataset", needed_for="reading shards", extra="shards"
        ) from error
    return fsspec, expand_urls
