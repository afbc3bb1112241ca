"""One reading, and all of them at once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitbench.data.coco import open_coco
from vitbench.data.parallel import WORTH_PROCESSES, map_items
from vitbench.data.positives import PositiveRule, Positives, find_positives, is_annotated
from vitbench.data.positives_grid import count_grid, near

Write = Callable[..., Path]

READING = PositiveRule(geometry="squash", image_px=16, patch_px=4)
LEFT = [[0, 0, 8, 0, 8, 16, 0, 16]]
SPOT = [[5, 5, 9, 5, 9, 9, 5, 9]]


def folder(write_coco: Write, images: int = 3) -> Path:
    return write_coco(
        {"segmentation": LEFT},
        {"segmentation": SPOT, "category_id": 2},
        {"segmentation": SPOT, "image_id": 2},
        {"segmentation": {"size": [20, 16], "counts": [20, 100, 200]}, "iscrowd": 1, "image_id": 2},
        images=images,
        size=(16, 20),
    )


def test_the_grid_equals_each_reading_on_its_own(write_coco: Write) -> None:
    dataset = open_coco(folder(write_coco), "val")
    rows = count_grid(dataset, READING, workers=1, progress=lambda done, total: None)
    for row in rows[:: len(rows) // 211]:
        found = [
            find_positives(dataset.target(index), row.reading)
            for index in range(3)
            if row.reading.empty_images or is_annotated(dataset.target(index))
        ]
        means = np.array([image.mean for image in found])
        counts = np.concatenate([image.counts[image.counted] for image in found])
        assert row.images == np.count_nonzero(~np.isnan(means))
        assert row.image_mean == pytest.approx(np.nanmean(means), abs=1e-6)
        assert row.image_std == pytest.approx(np.nanstd(means), abs=1e-6)
        assert row.patch_mean == pytest.approx(counts.mean(), abs=1e-6)
        assert row.patch_std == pytest.approx(counts.std(), abs=1e-6)


def test_every_axis_is_in_the_grid(write_coco: Write) -> None:
    dataset = open_coco(folder(write_coco), "val")
    rows = count_grid(dataset, READING, workers=1, progress=lambda done, total: None)
    readings = {row.reading for row in rows}
    assert len(readings) == len(rows)
    assert READING in readings
    assert replace(READING, empty_images=True, labels="segments", border="wrap") in readings


def test_near_rows_lie_within_the_tolerance(write_coco: Write) -> None:
    dataset = open_coco(folder(write_coco), "val")
    rows = count_grid(dataset, READING, workers=1, progress=lambda done, total: None)
    default = next(row for row in rows if row.reading == READING)
    found = near(rows, default.image_mean, default.image_std, tolerance=1e-9)
    assert default in found
    assert len(found) < len(rows)


def test_patches_know_their_category_and_the_way_to_the_border(write_coco: Write) -> None:
    dataset = open_coco(write_coco({"segmentation": LEFT}, size=(16, 16)), "val")
    found = find_positives(dataset.target(0), READING)
    np.testing.assert_array_equal(found.category, [[1, 1, 0, 0]] * 4)
    np.testing.assert_array_equal(found.border_distance, [[5, 1, 2, 6]] * 4)
    assert found.mean == 4  # each half is a strip of two columns: 3 or 5 neighbors


def test_without_a_border_the_way_is_endless(write_coco: Write) -> None:
    found = find_positives(open_coco(write_coco(), "val").target(0), READING)
    assert np.isinf(found.border_distance).all()


def test_no_counted_patch_gives_no_mean(write_coco: Write) -> None:
    dataset = open_coco(write_coco(), "val")
    found = find_positives(dataset.target(0), replace(READING, patches="pure-foreground"))
    assert np.isnan(found.mean)


class Work:
    """Work that can be sent to another process."""

    def __init__(self, root: Path) -> None:
        self.dataset = open_coco(root, "val")

    def __call__(self, index: int) -> Positives:
        return find_positives(self.dataset.target(index), READING)


def test_processes_change_nothing(write_coco: Write) -> None:
    work = Work(folder(write_coco, images=WORTH_PROCESSES))
    alone = [found.mean for found in map_items(work, range(WORTH_PROCESSES), workers=1)]
    shared = [found.mean for found in map_items(work, range(WORTH_PROCESSES), workers=2)]
    assert shared == alone
