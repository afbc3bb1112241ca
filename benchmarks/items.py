"""Made-up inputs of a size that is asked for: COCO's files, image folders, items of records."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CATEGORIES = 80
POLYGONS = 4096  # different outlines
OBJECTS, DETECTIONS = 7, 36  # of an image, COCO's means
PHOTO = (480, 640)  # pixels of an image


def write_annotations(root: Path, images: int) -> Path:
    """Write COCO's training annotations: 7.27 objects an image, outlines of 25 points."""
    generator = np.random.default_rng(0)
    outlines = [
        ",".join(f"{place:.2f}" for place in generator.uniform(0, 299, 2 * points))
        for points in np.maximum(3, generator.lognormal(3.1, 0.75, POLYGONS)).astype(int)
    ]
    objects = round(images * 7.2704)
    owners = generator.integers(1, images + 1, objects).tolist()
    kinds = generator.integers(1, CATEGORIES + 1, objects).tolist()
    boxes = generator.uniform(0, 299, (objects, 4)).tolist()
    path = root / "annotations" / "instances_train2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        stream.write('{"images": [')
        for number in range(1, images + 1):
            stream.write(
                f'{"," if number > 1 else ""}{{"id": {number}, "file_name": "{number:012}.jpg", '
                f'"height": 480, "width": 640, "date_captured": "2013-11-14 11:18:45"}}'
            )
        stream.write('], "annotations": [')
        for number, (left, top, wide, high) in enumerate(boxes):
            stream.write(
                f'{"," if number else ""}{{"segmentation": [[{outlines[number % POLYGONS]}]], '
                f'"area": {wide * high:.3f}, "iscrowd": 0, "image_id": {owners[number]}, "bbox": '
                f"[{left:.2f},{top:.2f},{wide:.2f},{high:.2f}], "
                f'"category_id": {kinds[number]}, "id": {number + 1}}}'
            )
        names = (f'{{"id": {one}, "name": "category {one}"}}' for one in range(1, CATEGORIES + 1))
        stream.write(f'], "categories": [{", ".join(names)}]}}')
    return path


def write_photos(root: Path, count: int, split: str = "train") -> None:
    """Write a split of COCO's layout: images of noise with rectangles as objects."""
    generator = np.random.default_rng(0)
    photos = root / f"{split}2017"
    photos.mkdir(parents=True)
    (root / "annotations").mkdir(exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        coarse = generator.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        name = f"{number}.jpg"
        Image.fromarray(coarse).resize(PHOTO[::-1]).save(photos / name)
        images.append({"id": number, "file_name": name, "height": PHOTO[0], "width": PHOTO[1]})
        for _ in range(OBJECTS):
            left, top = (int(value) for value in generator.integers((0, 0), (480, 320)))
            wide, high = (int(value) for value in generator.integers(20, 160, 2))
            corners = [left, top, left + wide, top, left + wide, top + high, left, top + high]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(generator.integers(1, 81)),
                    "bbox": [left, top, wide, high],
                    "area": wide * high,
                    "iscrowd": 0,
                    "segmentation": [corners],
                }
            )
    categories = [{"id": number, "name": f"category {number}"} for number in range(1, 81)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    path = root / "annotations" / f"instances_{split}2017.json"
    path.write_text(json.dumps(document))


def write_folders(root: Path, images: int, classes: int) -> None:
    """Write class folders of empty files."""
    for number in range(classes):
        folder = root / "train" / f"n{number:08}"
        folder.mkdir(parents=True)
        for image in range(number, images, classes):
            (folder / f"n{number:08}_{image}.JPEG").touch()


def detection_items(images: int, seed: int) -> dict[str, NDArray[Any]]:
    """Make what a record of detection keeps of boxes."""
    generator = np.random.default_rng(seed)
    shares = 1 / np.arange(1, CATEGORIES + 1) ** 0.7
    shares /= shares.sum()
    truths = np.zeros((images, CATEGORIES), np.int64)
    shown = generator.choice(CATEGORIES, images * OBJECTS, p=shares)
    np.add.at(truths, (np.repeat(np.arange(images), OBJECTS), shown), 1)
    image = np.repeat(np.arange(images), DETECTIONS)
    found = generator.random(len(image)) < 0.6  # of a category that the image shows
    place = image * OBJECTS + generator.integers(0, OBJECTS, len(image))
    category = np.where(found, shown[place], generator.choice(CATEGORIES, len(image), p=shares))
    score = generator.random(len(image))
    order = np.lexsort((-score, category, image))
    image, category, score = image[order], category[order], score[order]
    pair = image * CATEGORIES + category
    starts = np.searchsorted(pair, pair)
    first = np.arange(len(pair)) - starts < truths[image, category]  # no object is found twice
    quality = 0.6 * generator.random(len(image)) + 0.4 * score
    return {
        "ids": np.array([f"{number:012}.jpg" for number in range(images)]),
        "box_image": image,
        "box_category": category,
        "box_score": score,
        "box_matched": first[:, None] & (quality[:, None] > np.linspace(0.35, 0.95, 10)),
        "box_ignored": np.zeros((len(image), 10), bool),
        "box_truths": truths,
    }
