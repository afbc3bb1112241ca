"""Raw pixels behind the interface of a backbone."""

import pytest
import torch

from vitbench.errors import SettingError
from vitbench.models.checkpoint import load_backbone, resolve


def test_tokens_are_the_pixels_of_their_patch() -> None:
    images = torch.randn(2, 3, 12, 8, generator=torch.Generator().manual_seed(0))
    backbone = load_backbone(resolve("pixels:4"))
    with torch.inference_mode():
        patches = backbone(images)[0].patches
    assert patches.shape == (2, 48, 3, 2)
    torch.testing.assert_close(patches[1, :, 2, 1], images[1, :, 8:12, 4:8].flatten())


@pytest.mark.parametrize("spec", ["pixels:0", "pixels:x", "pixels:1000"])
def test_other_patch_sizes_are_refused(spec: str) -> None:
    with pytest.raises(SettingError, match="names no patch size"):
        resolve(spec)
