"""Regions against LOST's and TokenCut's own, for given features."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vitbench_protocols.discovery.regions import Region, lost, second_vector, token_cut
from vitbench_protocols.discovery.running import scaled

VALUES = Path(__file__).parent / "values" / "discovery.npz"
PATCH = 16


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[Any]]:
    with np.load(VALUES, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def box_of(region: Region) -> tuple[float, ...]:
    height, width = region.mask.shape
    return scaled(region, PATCH, (PATCH * width - 3, PATCH * height - 5))


@pytest.mark.parametrize("number", range(6))
def test_cuts_equal_the_official_ones(golden: dict[str, NDArray[Any]], number: int) -> None:
    """The seed may be another patch that the eigenvector gives as much."""
    region = token_cut(torch.from_numpy(golden[f"features{number}"]).permute(2, 0, 1), 0.2)
    assert box_of(region) == tuple(golden[f"tokencut{number}"])
    strength = np.abs(golden[f"vector{number}"])
    assert strength[region.seed] == pytest.approx(strength.max(), rel=1e-5)


@pytest.mark.parametrize("number", range(6))
def test_lost_boxes_equal_the_official_ones(golden: dict[str, NDArray[Any]], number: int) -> None:
    """The seed may be another patch that is similar to equally many."""
    features = golden[f"features{number}"]
    region = lost(torch.from_numpy(features).permute(2, 0, 1), 20)
    assert box_of(region) == tuple(golden[f"lost{number}"])
    rows = features.reshape(-1, features.shape[-1])
    degrees = (rows @ rows.T > 0).sum(axis=1)
    ours = region.seed[0] * features.shape[1] + region.seed[1]
    assert degrees[ours] == degrees[golden[f"lost_seed{number}"]] == degrees.min()


@pytest.mark.parametrize("number", range(6))
def test_the_eigenvector_equals_that_of_a_full_solution(
    golden: dict[str, NDArray[Any]], number: int
) -> None:
    rows = golden[f"features{number}"].reshape(-1, 16)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = second_vector(rows @ rows.T > 0.2)
    expected = golden[f"vector{number}"].ravel()
    cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    assert abs(cosine) == pytest.approx(1.0, abs=1e-6)
