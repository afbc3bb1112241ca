"""The adapter to four strides against stored values."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vitbench.errors import SettingError
from vitbench.models.pyramid_adapter import PyramidAdapter

VALUES = Path(__file__).parent / "values"


def test_maps_of_stride_16_equal_the_stored_ones() -> None:
    golden = np.load(VALUES / "det_adapter_p16.npz", allow_pickle=False)
    adapter = PyramidAdapter(dim=8, patch_px=16).eval()
    weights = {k[2:]: torch.from_numpy(golden[k]) for k in golden if k.startswith("w:")}
    adapter.load_state_dict(weights)
    found = adapter([torch.from_numpy(golden["x"])] * 4)
    for number, each in enumerate(found, start=1):
        expected = torch.from_numpy(golden[f"fpn{number}"])
        torch.testing.assert_close(each, expected, atol=2e-5, rtol=1e-4)


def test_maps_of_stride_8_get_the_same_four_strides() -> None:
    maps = [torch.zeros(1, 4, 8, 12)] * 4
    assert [tuple(each.shape[-2:]) for each in PyramidAdapter(4, 8)(maps)] == [
        (16, 24),
        (8, 12),
        (4, 6),
        (2, 3),
    ]


def test_maps_of_stride_32_get_the_same_four_strides() -> None:
    maps = [torch.zeros(1, 4, 2, 3)] * 4
    assert [tuple(each.shape[-2:]) for each in PyramidAdapter(4, 32)(maps)] == [
        (16, 24),
        (8, 12),
        (4, 6),
        (2, 3),
    ]


def test_images_of_any_sizes_are_normalized_as_one_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    adapter = PyramidAdapter(4, 16).train()
    batch = torch.randn(2, 4, 6, 5, generator=generator)
    together = adapter([batch] * 4)
    apart = adapter.of_each([[image[None]] * 4 for image in batch])
    for level in range(4):
        found = torch.cat([maps[level] for maps in apart])
        torch.testing.assert_close(found, together[level])
    (groups,) = adapter.of_each([[batch] * 4])  # two images of one size
    for level in range(4):
        torch.testing.assert_close(groups[level], together[level])
    wide = torch.randn(1, 4, 3, 8, generator=generator)
    first, second = adapter.of_each([[batch[:1]] * 4, [wide] * 4])
    assert first[0].shape[-2:] == (24, 20)
    assert second[0].shape[-2:] == (12, 32)
    alone = adapter.of_each([[batch[:1]] * 4])[0]
    assert not torch.allclose(first[0], alone[0], atol=1e-3)


def test_another_patch_size_is_refused() -> None:
    with pytest.raises(SettingError, match="stride 14"):
        PyramidAdapter(4, 14)
