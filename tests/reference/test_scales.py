"""The adapter to four strides against stored values."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vitbench.errors import SettingError
from vitbench.models.scales import FourScales

VALUES = Path(__file__).parent / "values"


def test_maps_of_stride_16_equal_the_stored_ones() -> None:
    golden = np.load(VALUES / "det_adapter_p16.npz", allow_pickle=False)
    adapter = FourScales(dim=8, patch_px=16).eval()
    weights = {k[2:]: torch.from_numpy(golden[k]) for k in golden if k.startswith("w:")}
    adapter.load_state_dict(weights)
    found = adapter([torch.from_numpy(golden["x"])] * 4)
    for number, each in enumerate(found, start=1):
        expected = torch.from_numpy(golden[f"fpn{number}"])
        torch.testing.assert_close(each, expected, atol=2e-5, rtol=1e-4)


def test_maps_of_stride_8_get_the_same_four_strides() -> None:
    maps = [torch.zeros(1, 4, 8, 12)] * 4
    assert [tuple(each.shape[-2:]) for each in FourScales(4, 8)(maps)] == [
        (16, 24),
        (8, 12),
        (4, 6),
        (2, 3),
    ]


def test_another_patch_size_is_refused() -> None:
    with pytest.raises(SettingError, match="stride 14"):
        FourScales(4, 14)
