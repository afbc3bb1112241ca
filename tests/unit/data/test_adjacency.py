"""Counting positives on label maps whose counts are known by reasoning."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vitbench.data.adjacency import (
    STEPS,
    Selection,
    cut,
    existing_neighbors,
    neighbor_mask,
    neighbor_similarity,
    passes,
    selected_patches,
)
from vitbench.data.label_maps import crop_labels

PATCH = 4


def blocks(rows: list[list[int]]) -> NDArray[np.int32]:
    """Return a label map with one label a patch."""
    return np.asarray(rows, np.int32).repeat(PATCH, 0).repeat(PATCH, 1)


def counts(labels: NDArray[np.int32], threshold: float = 0.95) -> NDArray[np.int64]:
    similarity = neighbor_similarity(cut(labels, PATCH), "one-hot-map")
    exists = existing_neighbors(*similarity.shape[1:])
    return np.asarray(np.count_nonzero(passes(similarity, threshold) & exists, axis=0))


def test_one_label_makes_every_existing_neighbor_a_positive() -> None:
    found = counts(blocks([[3] * 4] * 4))
    np.testing.assert_array_equal(found, [[3, 5, 5, 3], [5, 8, 8, 5], [5, 8, 8, 5], [3, 5, 5, 3]])


def test_a_checkerboard_of_four_labels_has_no_positive() -> None:
    board = [[1, 2, 1, 2], [3, 4, 3, 4]] * 2
    assert not counts(blocks(board)).any()


def test_a_checkerboard_of_two_labels_has_its_diagonals() -> None:
    np.testing.assert_array_equal(counts(blocks([[1, 2, 1], [2, 1, 2], [1, 2, 1]])),
                                  [[1, 2, 1], [2, 4, 2], [1, 2, 1]])  # fmt: skip


def test_share_of_agreeing_pixels_decides_for_one_hot_maps() -> None:
    labels = blocks([[1, 1]])
    labels[0, PATCH] = 2  # the right patch differs in one of its 16 pixels: 0.9375
    assert counts(labels, 15 / 16).tolist() == [[1, 1]]
    assert counts(labels, 15 / 16 + 1e-9).tolist() == [[0, 0]]


def test_above_excludes_what_lies_at_the_threshold() -> None:
    labels = blocks([[1, 1]])
    labels[0, PATCH] = 2
    similarity = neighbor_similarity(cut(labels, PATCH), "one-hot-map")
    assert passes(similarity, 15 / 16, "at-least").any()
    assert not passes(similarity, 15 / 16, "above")[similarity < 1].any()


def test_background_as_zeros_is_like_nothing() -> None:
    labels = blocks([[0, 0, 5]])
    for descriptor in ("one-hot-map", "histogram", "presence", "raw-ids"):
        assert not neighbor_similarity(cut(labels, PATCH), descriptor, "zero")[:, 0, 0].any()


def test_histogram_ignores_where_pixels_lie() -> None:
    labels = blocks([[1, 1]])
    labels[0, 0] = labels[PATCH - 1, 2 * PATCH - 1] = 2
    patches = cut(labels, PATCH)
    right = STEPS.index((0, 1))
    assert neighbor_similarity(patches, "histogram")[right, 0, 0] == pytest.approx(1.0)
    assert neighbor_similarity(patches, "one-hot-map")[right, 0, 0] == 14 / 16


def test_four_neighbors_share_a_side() -> None:
    exists = existing_neighbors(3, 3, neighbors=4)
    np.testing.assert_array_equal(exists.sum(0), [[2, 3, 2], [3, 4, 3], [2, 3, 2]])


def test_wrapped_borders_give_every_patch_eight() -> None:
    assert existing_neighbors(3, 5, border="wrap").all()


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("any-foreground", {(0, 0), (1, 1), (2, 2)}),
        ("majority-foreground", {(1, 1), (2, 2)}),
        ("pure-foreground", {(2, 2)}),
        ("mixed", {(0, 0), (1, 1)}),
        ("mixed-interior", {(1, 1)}),
        ("interior", {(1, 1)}),
    ],
)
def test_patches_are_selected_by_what_they_hold(
    selection: Selection, expected: set[tuple[int, int]]
) -> None:
    labels = blocks([[0, 0, 0], [0, 0, 0], [0, 0, 5]])
    labels[PATCH : PATCH + 3, PATCH : 2 * PATCH] = 5  # 12 of the middle patch's 16 pixels
    labels[0, 0] = 5  # 1 of the first's
    chosen = selected_patches(cut(labels, PATCH), selection)
    assert {(int(row), int(column)) for row, column in np.argwhere(chosen)} == expected
    assert selected_patches(cut(labels, PATCH), "all").all()


def test_renaming_labels_changes_no_count() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (16, 16)).astype(np.int32)
    renamed = np.array([9, 4, 60], np.int32)[labels]
    for descriptor in ("one-hot-map", "histogram", "presence"):
        np.testing.assert_allclose(
            neighbor_similarity(cut(labels, PATCH), descriptor),
            neighbor_similarity(cut(renamed, PATCH), descriptor),
        )


def test_mask_of_a_crop_lists_neighbors_row_by_row() -> None:
    labels = blocks([[1, 1, 2], [3, 1, 4], [5, 6, 7]])
    mask = neighbor_mask(labels, PATCH, border="valid")
    assert mask.shape == (9, 8)
    assert [STEPS[number] for number in np.flatnonzero(mask[4])] == [(-1, -1), (-1, 0)]


def test_mask_of_a_crop_wraps_as_the_reference_does() -> None:
    labels = blocks([[1, 2, 3, 1], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]])
    mask = neighbor_mask(labels, PATCH)
    assert [STEPS[number] for number in np.flatnonzero(mask[0])] == [(0, -1)]
    assert not neighbor_mask(labels, PATCH, border="valid").any()


def test_crop_follows_box_scale_and_flip() -> None:
    labels = np.arange(36, dtype=np.int32).reshape(6, 6)
    crop = crop_labels(labels, (1, 2, 3, 3), 6)
    np.testing.assert_array_equal(crop, labels[1:4, 2:5].repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(crop_labels(labels, (1, 2, 3, 3), 6, flip=True), crop[:, ::-1])
