"""Small facts that manifests and backbones share; importing this imports no torch."""

from typing import Literal

Triple = tuple[float, float, float]
Pooling = Literal["cls_token", "mean_pool", "class_attention", "own"]  # "own": the network's
PositionRule = Literal["dino", "size", "esvit", "timm", "none", "own"]  # "own": the network's
POSITION_RULES: tuple[PositionRule, ...] = ("dino", "size", "esvit", "timm", "none")

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
