"""One run: a box in each image, compared with its objects, and drawn."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from vitbench.api import Backbone, Context, Dataset, Outcome, Sample, Score
from vitbench.kit import Instances, atomic, distributed, in_order, to_pixels
from vitbench_protocols.discovery.regions import Region, lost, token_cut

if TYPE_CHECKING:
    from vitbench_protocols.discovery import Discovery

AHEAD = 8  # images that are decoded before they are asked for
HIT = 0.5  # IoU from which an object is found
TINY = 0.02  # share of an image's patches below which a region is hardly an object
PICTURE_PX = 320

Box = tuple[float, float, float, float]  # left, top, right, bottom in px of the image


def discover(settings: "Discovery", backbone: Backbone, context: Context) -> Outcome:
    """Find a box in each image, and compare it with the objects."""
    dataset: Dataset[Sample[Instances]] = context.dataset(settings.split)
    drawn = set(np.linspace(0, len(dataset) - 1, settings.pictures).round().astype(int).tolist())
    mine = distributed.share(range(len(dataset)))
    found: dict[int, tuple[float, float, float]] = {}  # two IoUs, and the region's share of patches
    artifacts: dict[str, Path] = {}
    samples = in_order(dataset.__getitem__, mine, workers=context.workers, ahead=AHEAD)
    for place, sample in zip(mine, samples, strict=True):
        region = find_region(settings, backbone, context, sample.image)
        box = scaled(region, backbone.info.stage(-1).stride, sample.image.size)
        objects = [item for item in sample.target.items if not item.crowd]
        boxes = np.array([item.box for item in objects], dtype=np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        everything = (0.0, 0.0, float(sample.image.width), float(sample.image.height))
        found[place] = (*(_best(one, boxes) for one in (box, everything)), region.mask.mean())
        if place in drawn:
            path = context.output / f"{place:06d}.png"
            _draw(sample.image, region, box, boxes, path)
            artifacts[f"box {sample.id}"] = path
        context.progress("images", place + 1, len(dataset))
    whole, artifacts = distributed.merge_on_main(found), distributed.merge_on_main(artifacts)
    if not distributed.is_main():
        return Outcome(())
    columns = np.array([whole[place] for place in range(len(dataset))]).T
    if (share := float(np.median(columns[2]))) < TINY:
        context.note(
            f"half of the regions hold less than {100 * share:.1f} % of the patches: the features"
            " tell a few patches apart from all others, not objects from their ground"
        )
    return _outcome(columns[0], columns[1], dataset, artifacts)


def _best(box: Box, boxes: NDArray[np.float64]) -> float:
    """Return the highest IoU of a box with others; NaN where there are none."""
    return float(overlaps(box, boxes).max()) if len(boxes) else np.nan


def _outcome(
    best: NDArray[np.float64],
    of_image: NDArray[np.float64],
    dataset: Dataset[Any],
    artifacts: dict[str, Path],
) -> Outcome:
    known = ~np.isnan(best)
    hits, whole = (
        np.where(known, 100.0 * (overlap >= HIT), np.nan) for overlap in (best, of_image)
    )
    items = {"corloc": hits, "iou": 100 * best, "whole_image": whole}
    scores = tuple(
        Score(name, float(values[known].mean()) if known.any() else None, int(known.sum()))
        for name, values in items.items()
    )
    return Outcome(scores, {"ids": np.array(dataset.ids), **items}, artifacts)


@torch.inference_mode()
def find_region(
    settings: "Discovery", backbone: Backbone, context: Context, image: Image.Image
) -> Region:
    """Find the region of one image, seen at its own size; zeros fill the last patches."""
    stride = backbone.info.stage(-1).stride
    images = context.normalization(to_pixels(image)[None].to(context.device))
    height, width = images.shape[-2:]
    images = torch.nn.functional.pad(images, (0, -width % stride, 0, -height % stride))
    backbone.check_images(*images.shape[-2:])
    with context.autocast():
        features = _features(settings, backbone, images)[0].float()
    if settings.method == "lost":
        return lost(features, settings.seeds)
    return token_cut(features, settings.threshold)


def _features(settings: "Discovery", backbone: Backbone, images: Tensor) -> Tensor:
    if settings.features == "keys":
        keys: Tensor = backbone.keys(images)
        return keys
    (features,) = backbone(images)
    patches: Tensor = features.patches
    return patches


def scaled(region: Region, stride: int, size: tuple[int, int]) -> Box:
    """Return the box of a region in pixels, cut to the image's (width, height)."""
    left, top, right, bottom = (float(stride * side) for side in region.box)
    return left, top, min(right, size[0]), min(bottom, size[1])


def overlaps(box: Box, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the IoU of a box with each of others, (n, 4) by corners."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    inter = np.clip(high - low, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    own = (box[2] - box[0]) * (box[3] - box[1])
    found: NDArray[np.float64] = inter / np.maximum(areas + own - inter, 1e-9)
    return found


def _draw(
    image: Image.Image, region: Region, box: Box, boxes: NDArray[np.float64], path: Path
) -> None:
    """Draw the region in red light, its box in red, the objects in white, the seed as a dot."""
    height, width = region.mask.shape
    light = Image.fromarray((70 * region.mask).astype(np.uint8)).resize(
        image.size, Image.Resampling.NEAREST
    )
    picture = image.copy()
    picture.paste((214, 40, 40), (0, 0), light)
    draw = ImageDraw.Draw(picture)
    line = max(2, image.width // 160)
    for other in boxes.tolist():
        draw.rectangle(other, outline="white", width=line)
    draw.rectangle(box, outline=(214, 40, 40), width=line)
    row, column = region.seed
    x, y = (column + 0.5) * image.width / width, (row + 0.5) * image.height / height
    draw.ellipse((x - 3 * line, y - 3 * line, x + 3 * line, y + 3 * line), fill="yellow")
    picture.thumbnail((PICTURE_PX, PICTURE_PX))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        picture.save(temporary, "PNG")
