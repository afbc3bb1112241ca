"""Detecting in a whole split: each process its share of the images, put together at the end."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitbench.api import Context, InstanceDataset
from vitbench.kit import (
    Fetched,
    Pixels,
    RunLengths,
    distributed,
    fitted,
    in_order,
    resize_image,
    send,
)
from vitbench_protocols.detection.detector import Detector, padded_size
from vitbench_protocols.detection.pasting import paste
from vitbench_protocols.detection.results import Detected
from vitbench_protocols.detection.truth import Truth

AHEAD = 16  # images that are read before their turn
AT_ONCE = {"cuda": 8}  # images of one padded size in a pass; elsewhere it gains nothing
WAITING = 16  # images whose masks are not encoded yet


@dataclass(frozen=True, slots=True)
class Problem:
    """The data, and how large an image is seen."""

    context: Context
    train: InstanceDataset
    val: InstanceDataset
    truth: Truth  # of val
    short: float  # px, limits of the sides
    long: float

    def labels(self) -> dict[int, int]:
        """Return the label of each category of the data set: from 1, in the order of the ids."""
        numbers = sorted(self.train.categories)
        return {number: label for label, number in enumerate(numbers, start=1)}


def normalized(image: Pixels, context: Context) -> Tensor:
    """Return an image as the backbone takes it, (3, H, W), on the device."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    return context.normalization(send(pixels, context.device))[0]


@torch.inference_mode()
def detect_all(problem: Problem, detector: Detector) -> list[Detected] | None:
    """Return the detections in all validation images, in the order of the images.

    Only the main process has them; others return None.
    """
    context, val = problem.context, problem.val
    detector.eval()
    mine = distributed.share(range(len(val)))
    coded: dict[int, Future[list[Detected]]] = {}
    images = _images(val, mine, problem)
    with ThreadPoolExecutor(1) as coder:
        for batch in _batches(images, AT_ONCE.get(context.device.type, 1)):
            for one, found in zip(batch, detect(batch, context, detector), strict=True):
                coded[one.place] = coder.submit(detected, one, found, problem.truth)
            _wait(coded)
            context.progress("detecting", len(coded) * distributed.world_size(), len(val), "images")
    parts = distributed.gather_on_main({place: each.result() for place, each in coded.items()})
    if parts is None:
        return None
    everywhere = {place: each for part in parts for place, each in part.items()}
    return [one for place in range(len(val)) for one in everywhere[place]]


@dataclass(frozen=True, slots=True)
class Shown:
    """An image as the detector is shown it."""

    place: int  # in the split
    size: tuple[int, int]  # of the image, (H, W)
    pixels: Pixels  # resized


Found = tuple[Fetched, Fetched]  # (r, 6) box, score and label; masks (r, H, W) of the image's size


def detect(images: Sequence[Shown], context: Context, detector: Detector) -> Iterator[Found]:
    """Yield what is found in each of some images of one padded size, on its way to the host."""
    with context.autocast():
        every = detector.detect([normalized(image.pixels, context) for image in images])
    for image, found in zip(images, every, strict=True):
        down, right = (
            own / seen for own, seen in zip(image.size, image.pixels.shape[:2], strict=True)
        )
        boxes = found["boxes"].float()
        boxes = torch.stack([boxes[:, 0::2] * right, boxes[:, 1::2] * down], dim=2).flatten(1)
        masks = paste(found["masks"], boxes, image.size)
        table = torch.cat(
            [boxes, found["scores"].float()[:, None], found["labels"][:, None].float()], dim=1
        )
        yield Fetched(table), Fetched(masks)


def detected(image: Shown, found: Found, truth: Truth) -> list[Detected]:
    """Return detections as the results file will have them, so that both score the same."""
    categories, image_id = list(truth.categories), truth.image_ids[image.place]
    detections = []
    for row, mask in zip(found[0].numpy().tolist(), found[1].numpy(), strict=True):
        left, top, right, bottom = (round(number, 3) for number in row[:4])
        detections.append(
            Detected(
                image_id=image_id,
                category_id=categories[int(row[5]) - 1],
                score=round(row[4], 6),
                bbox=(left, top, round(right - left, 3), round(bottom - top, 3)),
                segmentation=_runs(mask),
            )
        )
    return detections


def _runs(mask: NDArray[np.bool_]) -> RunLengths:
    from pycocotools import mask as coco_mask

    coded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    height, width = coded["size"]
    return RunLengths((height, width), coded["counts"].decode())


def _batches(images: Iterable[Shown], most: int) -> Iterator[list[Shown]]:
    """Yield images of the same padded size together, up to so many, as soon as they are there."""
    waiting: dict[tuple[int, int], list[Shown]] = {}
    for image in images:
        key = padded_size(image.pixels.shape[0], image.pixels.shape[1])
        waiting.setdefault(key, []).append(image)
        if len(waiting[key]) == most:
            yield waiting.pop(key)
    yield from waiting.values()


def _wait(coded: Mapping[int, Future[list[Detected]]]) -> None:
    """Let no more images than a few wait for their masks to be encoded: they are large."""
    for future in list(coded.values())[:-WAITING]:
        future.result()


def _images(dataset: InstanceDataset, places: Sequence[int], problem: Problem) -> Iterator[Shown]:
    def read(place: int) -> Shown:
        image = np.array(dataset[place].image)
        size = (image.shape[0], image.shape[1])
        seen = fitted(size, short=problem.short, long=problem.long)
        return Shown(place, size, resize_image(image, seen))

    return in_order(read, places, workers=problem.context.workers, ahead=AHEAD)
