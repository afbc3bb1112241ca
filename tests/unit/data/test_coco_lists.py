"""Annotations are cut out of their file where that is safe; elsewhere they are parsed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitbench.data.coco import open_coco
from vitbench.data.coco_lists import cut_lists, parse_lists
from vitbench.errors import DatasetError

FILE = Path("instances_val2017.json")
IMAGES = [{"id": 1, "file_name": "1.jpg", "height": 8, "width": 8}]
CATEGORIES = [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]
RUNS = {"size": [8, 8], "counts": [9, 2, 53]}


def annotation(number: int, **more: Any) -> dict[str, Any]:
    box = {"bbox": [number, 0, 1, 1], "area": 1, "iscrowd": 0}
    ids = {"id": number, "image_id": 1, "category_id": 1}
    return {"segmentation": [[0, 0, 1, 0, 1, 1]], **box, **more, **ids}


def document(*annotations: Any, **more: Any) -> dict[str, Any]:
    return {"images": IMAGES, "annotations": annotations, "categories": CATEGORIES, **more}


PLAIN = document(annotation(1), annotation(2, segmentation=RUNS), annotation(3))
ODD = {
    "objects in an annotation": document(
        annotation(1, attributes=[{"a": 1}, {"b": 2}]), annotation(2)
    ),
    "objects at the end of an annotation": document(
        annotation(1), {**annotation(2), "attributes": [{"a": 1}, {"b": 2}]}
    ),
    "commas in a text": document(annotation(1, note="}, {"), annotation(2, note="}]")),
    "annotations of something else": {
        "info": {"annotations": [annotation(8), annotation(9)]},
        **document(annotation(1), annotation(2)),
    },
    "annotations of something else, none of its own": {
        "info": {"annotations": [annotation(8), annotation(9)]},
        **document(),
    },
}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        (tmp_path / "annotations").mkdir()
        (tmp_path / "annotations" / FILE).write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("order", [1, -1])
def test_cut_annotations_are_the_parsed_ones(indent: int | None, order: int) -> None:
    text = json.dumps(dict(list(PLAIN.items())[::order]), indent=indent).encode()
    cut, parsed = cut_lists(FILE, text), parse_lists(FILE, text)
    assert np.array_equal(cut.spans, parsed.spans)
    assert cut[:2] == parsed[:2]
    pieces = [json.loads(text[start:end]) for start, end in cut.spans]
    assert pieces == list(PLAIN["annotations"])


@pytest.mark.parametrize("name", ODD)
def test_a_file_that_can_not_be_cut_is_read_all_the_same(
    written: Callable[[str], Path], name: str
) -> None:
    expected = [one["bbox"][0] for one in ODD[name]["annotations"]]
    items = open_coco(written(json.dumps(ODD[name])), "val").target(0).items
    assert [item.box[0] for item in items] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(document(5)), r"annotations\.0: .*object"),
        (json.dumps(document(annotation(1), None)), r"annotations\.1: .*object"),
        (json.dumps(PLAIN).replace("}, {", "} {", 3), "can't be read"),
        (json.dumps(PLAIN)[:-1], "can't be read"),
        (json.dumps(PLAIN) + "}", "can't be read"),
        (json.dumps(document(annotation(1), annotation(2**63))), "beyond 64 bits"),
    ],
)
def test_what_is_wrong_is_told_by_the_parser(
    written: Callable[[str], Path], text: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        open_coco(written(text), "val")
