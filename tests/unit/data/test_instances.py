"""Masks of objects, whatever the file says of them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vitbench.data.instances import (
    Instance,
    Instances,
    Polygons,
    RunLengths,
    decode_mask,
    decode_masks,
)
from vitbench.errors import DatasetError


def draw(segmentation: Polygons | RunLengths, height: int = 4, width: int = 4) -> NDArray[np.uint8]:
    item = Instance(7, 1, (0, 0, 1, 1), 1.0, False, segmentation)
    return decode_mask(item, height, width)


def test_run_lengths_go_down_the_columns() -> None:
    mask = draw(RunLengths((2, 3), [1, 2, 3]), 2, 3)
    np.testing.assert_array_equal(mask, [[0, 1, 0], [1, 0, 0]])


def test_compressed_run_lengths_equal_plain_ones() -> None:
    from pycocotools import mask as coco_mask

    text = coco_mask.frPyObjects({"size": [4, 4], "counts": [5, 6, 5]}, 4, 4)["counts"].decode()
    np.testing.assert_array_equal(
        draw(RunLengths((4, 4), text)), draw(RunLengths((4, 4), [5, 6, 5]))
    )


@pytest.mark.parametrize(
    "runs",
    [
        RunLengths((4, 4), [5, 6, 4]),
        RunLengths((4, 4), [5, 600]),
        RunLengths((4, 4), [20, -4]),
        RunLengths((4, 5), [5, 15]),
        RunLengths((4, 4), "zzzz"),
        RunLengths((4, 4), []),
    ],
)
def test_run_lengths_of_another_size_are_refused(runs: RunLengths) -> None:
    with pytest.raises(DatasetError, match="annotation 7 has run lengths"):
        draw(runs)


@pytest.mark.parametrize(
    "polygons",
    [
        [],
        [[1.0, 1.0, 3.0, 3.0]],  # pycocotools alone would read a box here
        [[1.0, 1.0]],
        [[2.0, 2.0] * 3],
        [[1.0, 1.0, 3.0, 3.0, 1.0, 1.0]],
        [[10.0, 10.0, 12.0, 10.0, 12.0, 12.0]],
    ],
)
def test_degenerate_polygons_draw_nothing(polygons: Polygons) -> None:
    assert not draw(polygons).any()


def test_polygons_are_cut_off_at_the_image() -> None:
    mask = draw([[-5.0, -5.0, 2.0, -5.0, 2.0, 2.0, -5.0, 2.0]])
    np.testing.assert_array_equal(np.argwhere(mask), [[0, 0], [0, 1], [1, 0], [1, 1]])


def test_masks_keep_the_order_of_the_file() -> None:
    items = [
        Instance(number, 1, (0, 0, 1, 1), 1.0, False, RunLengths((2, 2), runs))
        for number, runs in enumerate(([1, 3], [3, 1]))
    ]
    masks = decode_masks(Instances(1, 2, 2, tuple(items)))
    assert [int(mask.sum()) for mask in masks] == [3, 1]
