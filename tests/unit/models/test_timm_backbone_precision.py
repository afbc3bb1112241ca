import pytest
import torch
from torch import Tensor

from vitbench.models.architecture import Architecture
from vitbench.models.backbone import Features
from vitbench.models.timm_backbone import TimmBackbone, build_backbone

SHAPE = Architecture(
    name="tiny", patch_size=8, embed_dim=32, depth=3, heads=2, mlp_dim=64, grid=(4, 4)
)
SHORT, LONG = (64, 72), (184, 192)  # 73 and 553 tokens


def images(size: tuple[int, int]) -> Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))


def lively(architecture: Architecture) -> TimmBackbone:
    """Build a network whose attention is not flat and whose biases count."""
    backbone = build_backbone(architecture, seed=0).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return backbone


@pytest.fixture(scope="module")
def backbone() -> TimmBackbone:
    return lively(SHAPE)


def pooled(backbone: TimmBackbone, size: tuple[int, int]) -> Tensor:
    with torch.inference_mode():
        features: Features = backbone(images(size))[0]
    return features.pooled


@pytest.mark.parametrize("size", [SHORT, LONG])
def test_autocast_computes_products_in_bfloat16_and_sums_in_single(
    backbone: TimmBackbone, size: tuple[int, int]
) -> None:
    exact = pooled(backbone, size)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = pooled(backbone, size)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    assert torch.nn.functional.cosine_similarity(rounded, exact).min() > 0.999


def test_changed_weights_count_under_autocast(backbone: TimmBackbone) -> None:
    twin = lively(SHAPE)
    with torch.autocast("cpu", torch.bfloat16):
        before = pooled(twin, SHORT)
        with torch.no_grad():
            twin.get_parameter("blocks.0.mlp.fc1.weight").mul_(-1.0)
        after = pooled(twin, SHORT)
        assert torch.equal(before, pooled(backbone, SHORT))
    assert not torch.allclose(before, after)
