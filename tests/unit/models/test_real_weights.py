from pathlib import Path

import pytest
import torch

from vitbench.models.checkpoint import load_backbone, resolve

FILE = "weights/vit_tiny_patch16_224_in1k_supervised.pth"
HALF = (0.5, 0.5, 0.5)


@pytest.mark.data
def test_the_real_vit_tiny_loads_whole_and_says_so(real_data: Path) -> None:
    checkpoint = resolve(str(real_data / FILE), arch="vit_tiny_patch16_224", mean=HALF, std=HALF)
    assert checkpoint.accounting.used == 150
    assert checkpoint.accounting.ignored == ("head.weight", "head.bias")
    assert checkpoint.architecture.heads == 3
    assert checkpoint.normalization_from == "flag"
    backbone = load_backbone(checkpoint)
    with torch.inference_mode():
        (features,) = backbone(torch.zeros(1, 3, 480, 832))
    assert features.patches.shape == (1, 192, 30, 52)
    assert features.pooled.isfinite().all()
