"""Annotations are decoded in blocks; in a block with an odd one, one by one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitbench.data.coco import open_coco
from vitbench.data.coco_objects import BLOCK
from vitbench.errors import DatasetError

Write = Callable[..., Path]
PLACE = BLOCK + 3  # of the odd annotation: not the first of its block, not in the first block
ROWS = 2 * BLOCK + 5


def among_others(*odd: dict[str, Any]) -> list[dict[str, Any]]:
    """Return annotations whose numbers from 0 on are their left sides."""
    others: list[dict[str, Any]] = [
        {"id": number, "bbox": [number, 0, 1, 1], "segmentation": [[0, 0, 4.5, 0, 4, 4]]}
        for number in range(ROWS)
    ]
    for number, one in enumerate(odd, start=PLACE):
        others[number] |= one
    return others


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"area": -1}, rf"annotations\.{PLACE}\.area: .* >= 0"),
        ({"bbox": [0, 0, "wide", 4]}, rf"annotations\.{PLACE}\.bbox\.2"),
        ({"segmentation": [[0, 0, 1, 1, 2]]}, rf"half a point(.|\n)*annotation {PLACE}\b"),
        ({"segmentation": [[0, 0], [1]]}, rf"half a point(.|\n)*annotation {PLACE}\b"),
        ({"segmentation": [[0, 0, 1, 2e5]]}, rf"annotations\.{PLACE}\.segmentation\.0\.3: .* <="),
        ({"segmentation": [[0, -100000.5]]}, rf"annotations\.{PLACE}\.segmentation\.0\.1: .* >="),
        ({"segmentation": [[0, 1], [123456, 1]]}, rf"annotations\.{PLACE}\.segmentation\.1\.0"),
        ({"segmentation": [[0, "1 2"]]}, rf"annotations\.{PLACE}\.segmentation\.0\.1"),
        ({"segmentation": [0, 1]}, rf"annotations\.{PLACE}\.segmentation\.0: .*array"),
        ({"segmentation": [[[0, 1]]]}, rf"annotations\.{PLACE}\.segmentation\.0\.0: .*float"),
        ({"segmentation": [[0, 1]] * 10_001}, rf"10000 polygons(.|\n)*annotation {PLACE}\b"),
        ({"category_id": -(2**63) - 1}, rf"beyond 64 bits(.|\n)*annotation {PLACE}\b"),
    ],
)
def test_the_place_of_what_is_wrong_is_told_inside_a_block(
    write_coco: Write, odd: dict[str, Any], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        open_coco(write_coco(*among_others(odd)), "val")


def test_the_first_wrong_annotation_of_a_block_is_told(write_coco: Write) -> None:
    odd = {"segmentation": [[0, 0, 1, 1, 2]]}, {"id": "no number"}  # the decoder refuses the second
    with pytest.raises(DatasetError, match=rf"half a point(.|\n)*annotation {PLACE}\b"):
        open_coco(write_coco(*among_others(*odd)), "val")


@pytest.mark.parametrize(
    "odd",
    [
        {"segmentation": [[1e5, "2", 1e-3, 0.1234567]]},
        {"segmentation": [[1, 2, 3, 4], []]},
        {"segmentation": []},
        {"segmentation": None},
        {"segmentation": {"size": [8, 8], "counts": [9, 2, 53]}, "iscrowd": 1},
        {"area": "2.5", "image_id": "1", "id": "9000"},
        {"bbox": None},
        {"area": None},
    ],
)
def test_an_odd_annotation_changes_none_around_it(write_coco: Write, odd: dict[str, Any]) -> None:
    document = among_others(odd)
    items = open_coco(write_coco(*document), "val").target(0).items
    alone = open_coco(write_coco(document[PLACE]), "val").target(0).items
    assert items[PLACE] == alone[0]
    around = [item.box[0] for number, item in enumerate(items) if number != PLACE]
    assert around == [number for number in range(ROWS) if number != PLACE]


@pytest.mark.parametrize("blanks", [1, 64, 65])
def test_blanks_between_annotations_are_passed(write_coco: Write, blanks: int) -> None:
    root = write_coco(*among_others())
    file = root / "annotations" / "instances_val2017.json"
    text = json.dumps(json.loads(file.read_text()))
    file.write_text(text.replace("}, {", "}" + "\n" * blanks + ",{") + "\n")
    assert len(open_coco(root, "val").target(0).items) == ROWS
