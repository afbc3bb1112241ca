"""The instances view in COCO's layout: `train2017/ val2017/ annotations/instances_*.json`.

Things without holes are polygons, things with holes are run lengths; every eighth picture holds a
crowd of small things under one annotation, and one picture of each split has no annotation.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench.data.synthetic.draws import Draws
from vitbench.data.synthetic.ground import paint_ground
from vitbench.data.synthetic.outlines import polygons, run_lengths
from vitbench.data.synthetic.png import write_png
from vitbench.data.synthetic.scene import POINT, Thing, draw_light, draw_thing, draw_things, paint
from vitbench.data.synthetic.shapes import CLASS_NAMES, CLASSES

SIZES = ((128, 160), (160, 128), (128, 128))  # (H, W) pixels, in turn
COUNTS = {"train": 72, "val": 36}
PICTURES = sum(COUNTS.values())
CATEGORY_IDS = (1, 2, 3, 4, 5, 7, 8, 9, 10, 13)  # with gaps, as COCO's
_SMALLEST = 48  # visible pixels; what shows less is left out of the picture
_EMPTY, _CROWD_EVERY, _VIEW = 5, 8, 2


def write_instances(root: Path) -> Iterator[None]:
    """Write pictures and annotations, and yield after each picture."""
    for part, (split, count) in enumerate(COUNTS.items()):
        images, annotations = [], []
        for number in range(count):
            height, width = SIZES[number % len(SIZES)]
            pixels, found = _picture(Draws(_VIEW, part, number), number, height, width)
            identity = 1000 * (part + 1) + 3 * number
            name = f"{identity:012}.png"
            write_png(root / f"{split}2017" / name, pixels)
            images.append({"id": identity, "file_name": name, "height": height, "width": width})
            annotations += [{"image_id": identity, **annotation} for annotation in found]
            yield
        _write_json(root / "annotations" / f"instances_{split}2017.json", images, annotations)


def _picture(
    draws: Draws, number: int, height: int, width: int
) -> tuple[NDArray[np.uint8], list[dict[str, Any]]]:
    """Paint one picture and annotate what is seen in it."""
    ground, _ = paint_ground(draws, height, width)
    light = draw_light(draws)
    count = 0 if number == _EMPTY else draws.integer(1, 5)
    crowd = _crowd(draws, height, width) if number % _CROWD_EVERY == 0 else []
    alone = draw_things(draws, height, width, count=count, radius=(14, 38))
    # Noise comes last, from a stream of its own: leaving a thing out does not change it.
    _, owners = paint([*crowd, *alone], ground, light, Draws(_VIEW))
    seen = np.bincount(owners.reshape(-1), minlength=len(crowd) + len(alone) + 1)[1:]
    alone = [
        thing
        for thing, pixels in zip(alone, seen[len(crowd) :], strict=True)
        if pixels >= _SMALLEST
    ]
    pixels, owners = paint([*crowd, *alone], ground, light, draws)
    annotations = [
        _annotation(owners == place, thing.kind)
        for place, thing in enumerate(alone, start=len(crowd) + 1)
    ]
    if crowd:
        mask = (owners > 0) & (owners <= len(crowd))
        annotations.append(_annotation(mask, crowd[0].kind, crowd=True))
    return pixels, annotations


def _crowd(draws: Draws, height: int, width: int) -> list[Thing]:
    """Draw many small things of one kind around one place."""
    x, y = draws.integer(32, width - 32), draws.integer(32, height - 32)
    first = draw_thing(
        draws, draws.integer(0, len(CLASSES) - 1), x=x * POINT, y=y * POINT, radius=7 * POINT
    )
    return [
        replace(
            first,
            x=(x + draws.integer(-26, 26)) * POINT,
            y=(y + draws.integer(-16, 16)) * POINT,
            degrees=draws.integer(0, 359),
        )
        for _ in range(draws.integer(12, 18))
    ]


def _annotation(mask: NDArray[np.bool_], kind: int, *, crowd: bool = False) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    outline = None if crowd else polygons(mask)
    return {
        "category_id": CATEGORY_IDS[kind],
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "area": int(mask.sum()),
        "iscrowd": int(crowd),
        "segmentation": run_lengths(mask) if outline is None else outline,
    }


def _write_json(path: Path, images: list[Any], annotations: list[Any]) -> None:
    document = {
        "info": {"description": "vitbench synthetic"},
        "licenses": [],
        "images": images,
        "annotations": [
            {"id": number, **annotation} for number, annotation in enumerate(annotations, start=1)
        ],
        "categories": [
            {"id": identity, "name": name, "supercategory": name.split("-")[1]}
            for identity, name in zip(CATEGORY_IDS, CLASS_NAMES, strict=True)
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
