"""Detecting in a whole split: each process its share of the images, put together at the end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vitbench.api import Context, InstanceDataset
from vitbench.kit import (
    Pixels,
    RunLengths,
    distributed,
    fitted,
    in_order,
    resize_image,
)
from vitbench_protocols.detection.as_mmdet import paste
from vitbench_protocols.detection.detector import Detector
from vitbench_protocols.detection.results import Detected
from vitbench_protocols.detection.truth import Truth

AHEAD = 8  # images


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
    return context.normalization(pixels.to(context.device))[0]


@torch.inference_mode()
def detect_all(problem: Problem, detector: Detector) -> list[Detected]:
    """Return the detections in all validation images, in the order of the images."""
    context, val = problem.context, problem.val
    detector.eval()
    mine = distributed.share(range(len(val)))
    found: dict[int, list[Detected]] = {}
    for place, image in _images(val, mine, context.workers):
        image_id = problem.truth.image_ids[place]
        found[place] = list(detect(image, image_id, problem, detector))
        context.progress("detecting", place + 1, len(val), "images")
    everywhere = {place: each for part in distributed.gather(found) for place, each in part.items()}
    return [one for place in range(len(val)) for one in everywhere[place]]


def detect(
    image: Pixels, image_id: int, problem: Problem, detector: Detector
) -> Iterator[Detected]:
    """Yield the detections in one image, boxes and masks at its own size."""
    size = (image.shape[0], image.shape[1])
    seen = fitted(size, short=problem.short, long=problem.long)
    with problem.context.autocast():
        found = detector.detect(normalized(resize_image(image, seen), problem.context))
    rows, columns = (own / other for own, other in zip(size, seen, strict=True))
    boxes = found["boxes"].float() * torch.tensor(
        [columns, rows, columns, rows], device=found["boxes"].device
    )
    categories = list(problem.truth.categories)
    entries = zip(boxes, found["scores"].tolist(), found["labels"].tolist(), found["masks"],
                  strict=True)  # fmt: skip
    for box, score, label, mask in entries:
        left, top, right, bottom = (round(number, 3) for number in box.tolist())
        yield Detected(  # as the results file will have it, so that both score the same
            image_id=image_id,
            category_id=categories[label - 1],
            score=round(score, 6),
            bbox=(left, top, round(right - left, 3), round(bottom - top, 3)),
            segmentation=_runs(paste(mask, box, size)),
        )


def _runs(mask: Tensor) -> RunLengths:
    from pycocotools import mask as coco_mask

    coded = coco_mask.encode(np.asfortranarray(mask.cpu().numpy().astype(np.uint8)))
    height, width = coded["size"]
    return RunLengths((height, width), coded["counts"].decode())


def _images(
    dataset: InstanceDataset, places: Sequence[int], workers: int
) -> Iterator[tuple[int, Pixels]]:
    def read(place: int) -> tuple[int, Pixels]:
        return place, np.array(dataset[place].image)

    return in_order(read, places, workers=workers, ahead=AHEAD)
