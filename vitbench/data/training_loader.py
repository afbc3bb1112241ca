"""Batches of augmented crops for pretraining: the same for the same seed on any machine.

The order of an epoch and every parameter of every crop are drawn by address, so a position is two
numbers (epoch, step), and workers and processes change nothing but the speed.
"""

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from vitbench.data.batched_augment import augment_batch
from vitbench.data.decode import CorruptImage, Decoded, decode_reduced
from vitbench.data.decoded_cache import DecodedCache, memory_for_images
from vitbench.data.image_files import Images
from vitbench.data.loading import LoaderConfig
from vitbench.data.multicrop import Bools, CropDraws, Ints, MultiCrop, draw_boxes, draw_crops
from vitbench.data.nvjpeg import Waiting, check_nvjpeg, decode_batch, wait_for_batch
from vitbench.data.packed_augment import augment_packed
from vitbench.data.pil_augment import augment_with_pil
from vitbench.data.reduced_crops import largest_reduction, reduced_boxes
from vitbench.data.sampler import Candidate, RankSlice, ShuffledImages, Slot, Source
from vitbench.data.shards import Shards
from vitbench.data.sizes import Size
from vitbench.errors import DatasetError, SettingError

BATCHES_AHEAD = 2

Found = tuple[Candidate, Decoded | Waiting]


@dataclass(frozen=True, slots=True)
class CropBatch:
    """The crops of one step on the device, and where they come from."""

    crops: list[Tensor]  # (B, 3, S, S) for each crop, normalized, global crops first
    ids: tuple[str, ...]
    indices: Ints  # (B,) positions in the set; of images from shards, numbers that name them
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
        SettingError: The batch does not divide among the processes, or is larger than the set;
            or images can't be decoded as the settings say.

    Differs:
        The reference pads the set to a multiple of the processes and lets every process drop its
        own last batch; here the last incomplete batch over all processes is dropped, so that
        their number changes nothing.
    """

    def __init__(
        self,
        images: Images | Shards,
        crops: MultiCrop,
        loading: LoaderConfig,
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
        check_decoding(loading, device)
        if loading.cache == "ram" and not isinstance(images, Shards):
            images = DecodedCache(images, memory_for_images(processes))
        self.source: Source = images if isinstance(images, Shards) else ShuffledImages(images)
        self.rank_slice = RankSlice(seed, batch_size, rank, processes)
        self.crops, self.loading, self.device = crops, loading, device
        self.corrupt: Counter[str] = Counter()  # names of broken images, how often each came up

    @property
    def steps(self) -> int:
        """Batches of one epoch."""
        return len(self.source) // self.rank_slice.batch_size

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[CropBatch]:
        """Yield the batches of an epoch, from a step on.

        Raises:
            DatasetError: More broken images than may be skipped.
        """
        decoded = self.decoded(epoch, first_step=first_step)
        batches = (self.augmented(epoch, keys, found) for keys, found in decoded)
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

    def decoded(self, epoch: int, *, first_step: int = 0) -> Iterator[tuple[Ints, list[Found]]]:
        """Yield keys and images of each batch, before they are cropped; decoded some batches ahead.

        Raises:
            DatasetError: More broken images than may be skipped.
        """
        batches = self.source.batches(self.rank_slice, epoch=epoch, first_step=first_step)
        pool = ThreadPoolExecutor(self.loading.threads)
        waiting: deque[tuple[Ints, list[Future[Found]]]] = deque()
        try:
            for slots in batches:
                keys = np.array([slot.key for slot in slots])
                waiting.append((keys, [pool.submit(self._fill, epoch, slot) for slot in slots]))
                if len(waiting) > BATCHES_AHEAD:
                    keys, reads = waiting.popleft()
                    yield keys, [read.result() for read in reads]
            for keys, reads in waiting:
                yield keys, [read.result() for read in reads]
        finally:
            pool.shutdown(cancel_futures=True)

    def augmented(self, epoch: int, keys: Ints, found: list[Found]) -> CropBatch:
        """Crop and augment the images of a batch."""
        images = [image for _, image in found]
        sizes = np.array([image.size for image in images])
        draws = draw_crops(self.crops, sizes, seed=self.rank_slice.seed, epoch=epoch, indices=keys)
        reductions = np.array([image.reduction for image in images])
        made = self._crop(images, replace(draws, box=reduced_boxes(draws.box, reductions)))
        ids = tuple(candidate.name for candidate, _ in found)
        indices = np.array([candidate.index for candidate, _ in found])
        return CropBatch(made, ids, indices, sizes, draws.box, draws.flip)

    def _crop(self, images: list[Decoded | Waiting], draws: CropDraws) -> list[Tensor]:
        """Cut crops out of images, which are decoded now if they waited for the whole batch."""
        if self.loading.decode == "nvjpeg":
            there = decode_batch(images, self.device)
            return augment_packed(there, self.crops, draws, self.device)
        pixels = [image.pixels for image in images if isinstance(image, Decoded)]
        if self.loading.augment == "pil":
            return [crop.to(self.device) for crop in augment_with_pil(pixels, self.crops, draws)]
        if self.device.type == "cuda":
            return augment_packed(pixels, self.crops, draws, self.device)
        return augment_batch(pixels, self.crops, draws)

    def _fill(self, epoch: int, slot: Slot) -> Found:
        """Decode the first candidate that can be decoded.

        Raises:
            DatasetError: None can, or more are broken than may be skipped.
        """
        for candidate in slot.candidates:
            try:
                return candidate, self._read(candidate, epoch, slot.key)
            except CorruptImage as error:
                self.corrupt[candidate.name] += 1
                if len(self.corrupt) > self.loading.skip_corrupt:
                    raise DatasetError(
                        f"{len(self.corrupt)} broken images, {self.loading.skip_corrupt} allowed.",
                        expected=error.expected,
                        found=f"{candidate.name}: {error.found}",
                        hint=error.hint,
                    ) from error
        raise DatasetError("no image that could take a slot in the batch decodes.")

    def _read(self, candidate: Candidate, epoch: int, key: int) -> Decoded | Waiting:
        """Decode an image as the settings say; raises CorruptImage."""
        if self.loading.decode == "nvjpeg":
            return wait_for_batch(*candidate.encoded())
        if self.loading.decode == "scaled":
            return decode_reduced(*candidate.encoded(), partial(self._reduction, epoch, key))
        pixels = candidate.read()
        return Decoded(pixels, (pixels.shape[0], pixels.shape[1]))

    def _reduction(self, epoch: int, key: int, size: Size) -> int:
        """Return by how much an image of a size may be reduced for its crops."""
        boxes = draw_boxes(
            self.crops,
            np.array([size]),
            seed=self.rank_slice.seed,
            epoch=epoch,
            indices=np.array([key]),
        )
        return largest_reduction(boxes[0], self.crops.sizes)


def check_decoding(loading: LoaderConfig, device: torch.device) -> None:
    """Refuse settings that contradict the way of decoding, or a machine that can't do it.

    Raises:
        SettingError: They do, or it can't.
    """
    against = [
        words
        for words, contradicts in (
            ("--cache ram", loading.cache == "ram" and loading.decode != "exact"),
            ("--augment pil", loading.augment == "pil" and loading.decode == "nvjpeg"),
        )
        if contradicts
    ]
    if against:
        raise SettingError(
            [f"{' and '.join(against)} can't be used with --decode {loading.decode}"],
            expected="images that are decoded whole and on the CPU",
            found="images on the CUDA device"
            if loading.decode == "nvjpeg"
            else "images at another size in each epoch",
            hint=f"--decode exact, or leave out {' and '.join(against)}",
        )
    if loading.decode == "nvjpeg":
        check_nvjpeg(device)
