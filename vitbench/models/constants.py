"""Small facts that manifests and backbones share; importing this imports no torch."""

from typing import Literal

Triple = tuple[float, float, float]
Activation = Literal["gelu", "gelu_tanh", "quick_gelu"]
Pooling = Literal["cls_token", "mean_pool", "class_attention", "own"]  # "own": the network's
PositionRule = Literal["dino", "size", "esvit", "timm", "none", "own"]  # "own": the network's
POSITION_RULES: tuple[PositionRule, ...] = ("dino", "size", "esvit", "timm", "none")

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)

VIT_SIZES = {  # name: (width D, blocks, attention heads)
    "micro": (64, 4, 2),
    "mini": (128, 6, 4),
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
}
SWIN_SIZES: dict[str, tuple[int, tuple[int, ...], tuple[int, ...]]] = {
    # name: (width D of the first stage, blocks of each stage, attention heads of each stage)
    "mini": (32, (1, 1, 2, 1), (1, 2, 4, 8)),
    "tiny": (96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "small": (96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "base": (128, (2, 2, 18, 2), (4, 8, 16, 32)),
    "large": (192, (2, 2, 18, 2), (6, 12, 24, 48)),
}
