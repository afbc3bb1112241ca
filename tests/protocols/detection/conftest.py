"""A small data set in COCO's layout: rectangles and an ellipse, each category of a color."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

COLORS = {2: (210, 40, 40), 7: (40, 190, 60), 9: (50, 60, 220)}
NAMES = {2: "brick", 7: "grass", 9: "never there"}


def write_coco(root: Path, *, train: int = 6, val: int = 4, seed: int = 0) -> Path:
    """Write images of about 64 x 80 px with two or three objects each, one a crowd."""
    generator = np.random.default_rng(seed)
    for part, (split, count) in enumerate((("train", train), ("val", val))):
        images: list[Any] = []
        annotations: list[Any] = []
        (root / f"{split}2017").mkdir(parents=True, exist_ok=True)
        for number in range(count):
            identity, width, height = 100 * (part + 1) + 7 * number, 80, 64 - 8 * (number % 2)
            noise = generator.integers(90, 160, (height, width, 3), dtype=np.uint8)
            image = Image.fromarray(noise)
            for place in range(2 + number % 2):
                category = (2, 7)[int(generator.integers(2))]
                left, top = (int(value) for value in generator.integers((0, 0), (50, 30)))
                wide, high = (int(value) for value in generator.integers(14, 26, 2))
                crowd = number == 1 and place == 0
                draw_object(image, category, (left, top, wide, high))
                annotations.append(
                    {
                        "id": 1000 * part + len(annotations) + 1,
                        "image_id": identity,
                        "category_id": category,
                        "bbox": [left, top, wide, high],
                        "area": wide * high,
                        "iscrowd": int(crowd),
                        "segmentation": crowd_runs((left, top, wide, high), height, width)
                        if crowd
                        else [outline((left, top, wide, high))],
                    }
                )
            name = f"{identity:012}.png"
            image.save(root / f"{split}2017" / name)
            images.append({"id": identity, "file_name": name, "height": height, "width": width})
        write_annotations(root, split, images, annotations)
    return root


def write_annotations(root: Path, split: str, images: list[Any], annotations: list[Any]) -> None:
    """Write one annotation file."""
    categories = [{"id": number, "name": name} for number, name in NAMES.items()]
    path = root / "annotations" / f"instances_{split}2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(document))


def read_annotations(root: Path, split: str) -> dict[str, Any]:
    """Read one annotation file."""
    path = root / "annotations" / f"instances_{split}2017.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def draw_object(image: Image.Image, category: int, box: tuple[int, int, int, int]) -> None:
    left, top, wide, high = box
    draw = ImageDraw.Draw(image)
    draw.polygon([(left, top), (left + wide, top), (left + wide, top + high), (left, top + high)],
                 fill=COLORS[category])  # fmt: skip


def outline(box: tuple[int, int, int, int]) -> list[int]:
    left, top, wide, high = box
    return [left, top, left + wide, top, left + wide, top + high, left, top + high]


def crowd_runs(box: tuple[int, int, int, int], height: int, width: int) -> dict[str, Any]:
    left, top, wide, high = box
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + high, left : left + wide] = 1
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges.tolist(), len(flat)]).tolist()
    return {"size": [height, width], "counts": [0, *runs] if flat[0] else runs}


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the data set; not to be changed."""
    return write_coco(tmp_path_factory.mktemp("scenes"))
