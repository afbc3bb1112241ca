"""One item of a dataset with its truth drawn over it, to be looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vitbench.data.clips import Clip, palette
from vitbench.data.instances import Instances, decode_mask
from vitbench.data.keypoint_pairs import KeypointPair
from vitbench.data.kinds import Dataset, Sample
from vitbench.data.retrieval import GRADES, Relevance
from vitbench.errors import SettingError, UnknownName

TINT = 0.5  # of a label's color over the image
NAMED = 12  # classes that are named


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture and what can be said of it."""

    picture: Image.Image
    facts: Mapping[str, str]


def find_item(dataset: Dataset[Any], wanted: str) -> int:
    """Return the place of an item by its id, by a part of one id alone, or by its number from 0.

    Raises:
        UnknownName: There is no such item.
        SettingError: Several ids hold the text.
    """
    ids = [str(name) for name in dataset.ids]
    if wanted in ids:
        return ids.index(wanted)
    if wanted.isdecimal() and int(wanted) < len(ids):
        return int(wanted)
    holding = [place for place, name in enumerate(ids) if wanted in name]
    if len(holding) > 1:
        near = ", ".join(ids[place] for place in holding[:5])
        raise SettingError([f"{wanted!r} is a part of {len(holding):,} ids: {near}, …"])
    if not holding:
        raise UnknownName("item", wanted, ids[:1000], hint=f"a number from 0 to {len(ids) - 1:,}")
    return holding[0]


def draw_item(dataset: Dataset[Any], index: int) -> Drawn:
    """Draw an item: objects and index maps over the image, a class beside it.

    Raises:
        DatasetError: It can't be read.
    """
    item = dataset[index]
    if isinstance(item, Clip):
        return _draw_clip(item)
    if isinstance(item, KeypointPair):
        return _draw_pair(item)
    if not isinstance(item, Sample):
        raise SettingError([f"items of kind {dataset.info.kind!r} can't be drawn"])
    names = getattr(dataset, "categories", {})
    target: Any = item.target
    if isinstance(target, Instances):
        return _draw_objects(item.image, target, names)
    if isinstance(target, Relevance):
        return _draw_query(item.image, target)
    if isinstance(target, np.ndarray) and target.ndim == 2 and target.dtype.kind == "f":
        return _draw_depth(item.image, target)
    if isinstance(target, np.ndarray) and target.ndim == 2:
        return _draw_labels(item.image, target, names)
    if isinstance(target, int | np.integer) and len(dataset.class_names):
        return Drawn(item.image, {"class": dataset.class_names[int(target)]})
    return Drawn(item.image, {"truth": str(target)[:200]})


def _draw_clip(clip: Clip) -> Drawn:
    """Draw the first, middle and last frame of a clip with the masks that are known of them."""
    places = sorted({0, len(clip.frames) // 2, len(clip.frames) - 1})
    frames = []
    for place in places:
        pixels = clip.frame(place)[..., ::-1]
        if place < len(clip.masks):
            pixels = _tinted(pixels, clip.mask(place), palette())
        frames.append(Image.fromarray(np.ascontiguousarray(pixels)))
    known = "every frame" if clip.annotated else "the first frame"
    told = {
        "frames": f"{len(clip.frames)}; drawn: {', '.join(map(str, places))}",
        "objects": f"{clip.objects}, with masks of {known}",
    }
    return Drawn(beside(frames), told)


def _draw_objects(image: Image.Image, found: Instances, names: Mapping[int, str]) -> Drawn:
    colors, pixels = palette(), np.asarray(image)
    for item in found.items:
        mask = decode_mask(item, found.height, found.width)
        pixels = _tinted(pixels, np.where(mask > 0, 1 + item.category % 254, 0), colors)
    picture = Image.fromarray(pixels)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=13)
    for item in found.items:
        left, top, wide, high = item.box
        color = tuple(int(part) for part in colors[1 + item.category % 254])
        pen.rectangle((left, top, left + wide, top + high), outline=color, width=2)
        name = names.get(item.category, str(item.category)) + (" (crowd)" if item.crowd else "")
        pen.text((left + 3, top + 2), name, "white", font, stroke_width=1, stroke_fill="black")
    told = [names.get(item.category, str(item.category)) for item in found.items]
    return Drawn(picture, {"objects": f"{len(told)}: {', '.join(told)}"})


def _draw_labels(image: Image.Image, labels: NDArray[Any], names: Mapping[int, str]) -> Drawn:
    values, counts = np.unique(labels, return_counts=True)
    colors = palette()
    pixels = _tinted(np.asarray(image), labels.astype(np.int64) % 255, colors)
    order: Sequence[int] = np.argsort(-counts)[:NAMED].tolist()
    told = [
        f"{names.get(int(values[place]), int(values[place]))}"
        f" {100 * counts[place] / labels.size:.0f} %"
        for place in order
    ]
    return Drawn(Image.fromarray(pixels), {"labels": ", ".join(told)})


def _draw_depth(image: Image.Image, depth: NDArray[np.floating]) -> Drawn:
    """Draw an image beside its depth: the nearest bright, what is not known black."""
    known = depth > 0
    near, far = (float(end(depth[known])) if known.any() else 0.0 for end in (np.min, np.max))
    bright = np.where(known, 255 - 215 * (depth - near) / max(far - near, 1e-9), 0)
    told = f"{near:.2f} to {far:.2f} m, {100 * known.mean():.0f} % of the pixels known"
    return Drawn(beside([image, Image.fromarray(bright.astype(np.uint8))]), {"depth": told})


def _draw_pair(pair: KeypointPair) -> Drawn:
    """Draw both images with their points; the same number is the same point."""
    drawn = []
    for image, points in zip(pair.images(), (pair.source_points, pair.target_points), strict=True):
        pen, font = ImageDraw.Draw(image), ImageFont.load_default(size=13)
        for number, (x, y) in enumerate(points.tolist(), start=1):
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill="yellow", outline="black")
            pen.text(
                (x + 6, y - 7), f"{number}", "white", font, stroke_width=1, stroke_fill="black"
            )
        drawn.append(image)
    told = f"{len(pair.source_points)}, numbered in both images"
    return Drawn(beside(drawn), {"category": pair.category, "key points": told})


def _draw_query(image: Image.Image, found: Relevance) -> Drawn:
    if found.box is not None:
        ImageDraw.Draw(image).rectangle(found.box, outline="yellow", width=3)
    grades = {grade: getattr(found, grade) for grade in GRADES}
    told = {name: f"{len(ids)}: {', '.join(ids[:NAMED])}" for name, ids in grades.items() if ids}
    return Drawn(image, told)


def beside(images: Sequence[Image.Image]) -> Image.Image:
    """Put pictures beside one another, their tops at one height."""
    size = (sum(image.width for image in images), max(image.height for image in images))
    whole, left = Image.new("RGB", size), 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width
    return whole


def _tinted(
    pixels: NDArray[np.uint8], labels: NDArray[Any], colors: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Lay the colors of labels above 0 over an image (H, W, 3)."""
    mixed = (1 - TINT) * pixels + TINT * colors[labels]
    shown: NDArray[np.uint8] = np.where((labels > 0)[..., None], mixed, pixels).astype(np.uint8)
    return shown
