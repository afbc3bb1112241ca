"""Batches of augmented crops for pretraining: the same for the same seed on any machine.

The order of an epoch and every parameter of every crop are drawn by address, so a position is two
numbers (epoch, step), and workers and processes change nothing but the speed.
"""

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vitbench.data.batched_augment import augment_batch, augment_packs, pack_images
from vitbench.data.decoded_cache import DecodedCache, memory_for_images
from vitbench.data.image_files import CorruptImage, Images, Pixels
from vitbench.data.multicrop import Bools, Ints, MultiCrop, draw_crops
from vitbench.data.pil_augment import augment_with_pil
from vitbench.draws import permutation
from vitbench.errors import DatasetError, SettingError
from vitbench.settings import setting

BATCHES_AHEAD = 2

Found = tuple[int, Pixels]  # the position that was read, its pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """How a run reads and augments its images."""

    workers: int = setting(2, help="threads that decode", minimum=1, identity=False)
    cache: Literal["none", "ram"] = setting(
        "none", help="keep decoded images in memory, as many as fit", identity=False
    )
    augment: Literal["batched", "pil"] = setting(
        "batched", help="whole batches on the device, or the reference: image by image with PIL"
    )
    skip_corrupt: int = setting(0, help="broken images to skip before stopping", minimum=0)


@dataclass(frozen=True, slots=True)
class CropBatch:
    """The crops of one step on the device, and where they come from."""

    crops: list[Tensor]  # (B, 3, S, S) for each crop, normalized, global crops first
    ids: tuple[str, ...]
    indices: Ints  # (B,) positions in the dataset of the images that were read
    sizes: Ints  # (B, 2) height and width of each image
    boxes: Ints  # (B, V, 4) top, left, height, width of each crop in its image
    flips: Bools  # (B, V) whether the crop was mirrored


class TrainingLoader:
    """Decodes, crops and augments the images of a run.

    Args:
        images: What to read.
        crops: What to make of them.
        loading: How.
        batch_size: Images of one step over all processes.
        seed: The run's seed.
        device: Where the crops go.
        rank: This process; it gets its consecutive part of each batch.
        processes: How many share a batch.

    Raises:
        SettingError: The batch does not divide among the processes, or is larger than the set.

    Differs:
        The reference pads the set to a multiple of the processes and lets every process drop its
        own last batch; here the last incomplete batch over all processes is dropped, so that
        their number changes nothing.
    """

    def __init__(
        self,
        images: Images,
        crops: MultiCrop,
        loading: Loading,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        if batch_size % processes or batch_size > len(images):
            raise SettingError(
                [
                    f"--batch-size is {batch_size}, expected a multiple of {processes} processes "
                    f"and at most the {len(images)} images"
                ]
            )
        cached = loading.cache == "ram"
        self.images = DecodedCache(images, memory_for_images(processes)) if cached else images
        self.crops, self.loading = crops, loading
        self.batch_size, self.seed, self.device = batch_size, seed, device
        self.corrupt: Counter[str] = Counter()  # ids of broken images, how often each came up
        share = batch_size // processes
        self._mine = slice(rank * share, (rank + 1) * share)

    @property
    def steps(self) -> int:
        """Batches of one epoch."""
        return len(self.images) // self.batch_size

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[CropBatch]:
        """Yield the batches of an epoch, from a step on.

        Raises:
            DatasetError: More broken images than may be skipped.
        """
        order = permutation(self.seed, "order", epoch, length=len(self.images))
        batches = (
            self._augment(epoch, asked, found) for asked, found in self._decoded(order, first_step)
        )
        return self._ahead(batches) if self.device.type == "cuda" else batches

    def _ahead(self, batches: Iterator[CropBatch]) -> Iterator[CropBatch]:
        """Make the next batch in a stream of its own while the device works on this one."""
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]

        def make() -> tuple[CropBatch | None, torch.cuda.Event]:
            with torch.cuda.stream(stream):
                return next(batches, None), stream.record_event()

        with ThreadPoolExecutor(1) as maker:
            waiting = maker.submit(make)
            while True:
                batch, ready = waiting.result()
                if batch is None:
                    return
                waiting = maker.submit(make)
                current = torch.cuda.current_stream(self.device)
                current.wait_event(ready)
                for crop in batch.crops:
                    crop.record_stream(current)
                yield batch

    def _decoded(self, order: Ints, first_step: int) -> Iterator[tuple[Ints, list[Found]]]:
        """Yield what each step asked for and what was found, decoding some batches ahead."""
        pool = ThreadPoolExecutor(self.loading.workers)
        waiting: deque[tuple[Ints, list[Future[Found]]]] = deque()
        try:
            for step in range(first_step, self.steps):
                asked = order[step * self.batch_size : (step + 1) * self.batch_size][self._mine]
                waiting.append((asked, [pool.submit(self._read, int(index)) for index in asked]))
                if len(waiting) > BATCHES_AHEAD:
                    indices, reads = waiting.popleft()
                    yield indices, [read.result() for read in reads]
            for indices, reads in waiting:
                yield indices, [read.result() for read in reads]
        finally:
            pool.shutdown(cancel_futures=True)

    def _augment(self, epoch: int, asked: Ints, found: list[Found]) -> CropBatch:
        positions = np.array([position for position, _ in found])
        images = [pixels for _, pixels in found]
        sizes = np.array([image.shape[:2] for image in images])
        draws = draw_crops(self.crops, sizes, seed=self.seed, epoch=epoch, indices=asked)
        if self.loading.augment == "pil":
            made = [crop.to(self.device) for crop in augment_with_pil(images, self.crops, draws)]
        elif self.device.type == "cuda":
            made = augment_packs(pack_images(images, self.device), self.crops, draws)
        else:
            made = augment_batch(images, self.crops, draws)
        ids = tuple(self.images.ids[position] for position in positions)
        return CropBatch(made, ids, positions, sizes, draws.box, draws.flip)

    def _read(self, index: int) -> Found:
        """Decode an image; in place of a broken one comes the next that decodes."""
        for candidate in range(index, index + len(self.images)):
            position = candidate % len(self.images)
            try:
                return position, self.images.read(position)
            except CorruptImage as error:
                self.corrupt[self.images.ids[position]] += 1
                if len(self.corrupt) > self.loading.skip_corrupt:
                    raise DatasetError(
                        f"{len(self.corrupt)} broken images, {self.loading.skip_corrupt} allowed.",
                        found=str(error),
                        hint="replace the files, or --skip-corrupt N",
                    ) from error
        raise DatasetError("no image of the set decodes.")
