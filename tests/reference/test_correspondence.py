"""Errors of points against probe3d's, for given maps."""

from pathlib import Path

import numpy as np
import torch

from vitbench.kit import KeypointPair
from vitbench_protocols.correspondence.matching import find_points

VALUES = Path(__file__).parent / "values" / "correspondence.npz"
SIDE, EXTENT = 96, 0.7 * 96


def test_errors_equal_probe3d() -> None:
    with np.load(VALUES, allow_pickle=False) as golden:
        maps = [
            torch.nn.functional.normalize(torch.from_numpy(golden[name]), dim=0)
            for name in ("source", "target")
        ]
        points, true = (
            golden[f"{name}_points"].astype(np.float64) for name in ("source", "target")
        )
        expected = golden["errors"]
    pair = KeypointPair("0", "cat", 0, Path("a"), Path("b"), points, true, EXTENT)
    found = find_points(pair, maps[0], maps[1], (SIDE, SIDE))
    errors = np.linalg.norm(found - true, axis=1) / EXTENT
    np.testing.assert_allclose(errors, expected, atol=1e-6)
