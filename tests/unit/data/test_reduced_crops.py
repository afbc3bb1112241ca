"""Images are reduced no more than their crops allow, and crops are cut where they were."""

import numpy as np
import pytest

from vitbench.data.multicrop import MultiCrop, draw_boxes, draw_crops
from vitbench.data.reduced_crops import largest_reduction, reduced_boxes

CROPS = MultiCrop(global_size=64, local_size=32, local_crops=4)
COUNT = 200
SIZES = np.random.default_rng(0).integers(40, 2000, (COUNT, 2))


def reductions(boxes: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]") -> list[int]:
    return [largest_reduction(of, CROPS.sizes) for of in boxes]


def test_boxes_alone_are_those_of_all_draws() -> None:
    address = {"seed": 3, "epoch": 2, "indices": np.arange(COUNT)}
    boxes = draw_boxes(CROPS, SIZES, **address)  # type: ignore[arg-type]
    np.testing.assert_array_equal(boxes, draw_crops(CROPS, SIZES, **address).box)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("height", "expected"), [(63, 1), (127, 1), (128, 2), (255, 2), (256, 4), (512, 8), (9999, 8)]
)  # fmt: skip
def test_the_smallest_side_decides(height: int, expected: int) -> None:
    boxes = np.array([[0, 0, 5000, 5000], [7, 3, height, 9999]])
    assert largest_reduction(boxes, [64, 64]) == expected


def test_no_crop_is_enlarged_that_was_shrunk() -> None:
    boxes = draw_boxes(CROPS, SIZES, seed=0, epoch=0, indices=np.arange(COUNT))
    by = np.array(reductions(boxes))
    assert set(by.tolist()) == {1, 2, 4, 8}
    cut = reduced_boxes(boxes, by)
    enough = cut[..., 2:] >= np.array(CROPS.sizes)[:, None]
    was_small = boxes[..., 2:] < np.array(CROPS.sizes)[:, None]
    assert (enough | was_small).all()
    np.testing.assert_array_equal(cut[by == 1], boxes[by == 1])
    ends = cut[..., :2] + cut[..., 2:]
    assert (cut >= 0).all()
    assert (ends <= -(-SIZES // by[:, None])[:, None]).all()


def test_edges_move_by_half_a_reduced_pixel_at_most() -> None:
    boxes = np.random.default_rng(1).integers(1, 900, (COUNT, 6, 4))
    by = np.random.default_rng(2).choice([1, 2, 4, 8], COUNT)
    cut, wide = reduced_boxes(boxes, by), by[:, None, None]
    assert (
        np.abs(cut[..., :2] * wide - boxes[..., :2]).max(axis=(1, 2)).tolist() <= (by / 2).tolist()
    )
    last = boxes[..., :2] + boxes[..., 2:]
    assert (2 * np.abs((cut[..., :2] + cut[..., 2:]) * wide - last) <= wide).all()
