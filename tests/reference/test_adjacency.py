"""Counts of ground-truth positives against the stored ones and against plain loops."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.adjacency import count_plainly
from vitbench.data.adjacency import (
    STEPS,
    Background,
    Border,
    Descriptor,
    Patches,
    cut,
    existing_neighbors,
    neighbor_similarity,
    passes,
)

VALUES = Path(__file__).parent / "values" / "coco_adjacency_synthetic.npz"
DESCRIPTORS: dict[str, tuple[Descriptor, Background]] = {
    "hist": ("histogram", "class"),
    "hist_nobg": ("histogram", "zero"),
    "presence": ("presence", "class"),
    "onehotmap": ("one-hot-map", "class"),
}


def random_labels(seed: int, size: int = 32) -> NDArray[np.int32]:
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 4, (size // 4, size // 4)).astype(np.int32)
    labels = coarse.repeat(4, 0).repeat(4, 1)
    labels[3:9, 5:30] = 7
    return labels


def test_double_loop_gives_the_same_counts() -> None:
    for seed in range(3):
        labels = random_labels(seed)
        similarity = neighbor_similarity(cut(labels, 8), "one-hot-map")
        ours = (passes(similarity, 0.6) & existing_neighbors(4, 4)).sum(0)
        np.testing.assert_array_equal(ours, count_plainly(labels, 8, 0.6))


@pytest.mark.parametrize(
    ("name", "neighbors", "border"),
    [
        (name, neighbors, border)
        for name in DESCRIPTORS
        for neighbors, border in ((8, "valid"), (8, "wrap"), (4, "valid"))
    ],
)
@pytest.mark.parametrize("number", [1, 2])
def test_stored_counts_are_met(number: int, name: str, neighbors: int, border: Border) -> None:
    stored = np.load(VALUES, allow_pickle=False)
    patches = cut(stored[f"map{number}"].astype(np.int32), 16)
    similarity = neighbor_similarity(patches, *DESCRIPTORS[name])
    exists = existing_neighbors(14, 14, neighbors=neighbors, border=border)
    counts = (passes(similarity, 0.95) & exists).sum(0)
    np.testing.assert_array_equal(counts, stored[f"counts{number}_{name}_{neighbors}_{border}"])


@pytest.mark.parametrize("descriptor", ["one-hot-map", "histogram", "presence", "raw-ids"])
@pytest.mark.parametrize("background", ["class", "zero"])
def test_every_descriptor_equals_its_vectors_written_out(
    descriptor: Descriptor, background: Background
) -> None:
    patches = cut(random_labels(5), 8)
    vectors = _vectors(patches, descriptor, background)
    similarity = neighbor_similarity(patches, descriptor, background)
    for number, row, column in product(range(8), range(4), range(4)):
        down, right = STEPS[number]
        one, other = vectors[row, column], vectors[(row + down) % 4, (column + right) % 4]
        norm = np.linalg.norm(one) * np.linalg.norm(other)
        expected = one @ other / norm if norm else 0.0
        assert similarity[number, row, column] == pytest.approx(expected, abs=1e-12)


def _vectors(patches: Patches, descriptor: str, background: str) -> NDArray[Any]:
    labels = patches.values[patches.cells]  # (h, w, pixels)
    classes = range(1 if background == "zero" else 0, 8)
    onehot = np.stack([labels == label for label in classes], axis=-1).astype(float)
    vectors: dict[str, NDArray[Any]] = {
        "one-hot-map": onehot.reshape(4, 4, -1),
        "histogram": onehot.sum(2),
        "presence": onehot.any(2).astype(float),
        "raw-ids": labels + (1.0 if background == "class" else 0.0),
    }
    return vectors[descriptor]
