"""Small facts that manifests and backbones share; importing this imports no torch."""

from typing import Literal, get_args

Triple = tuple[float, float, float]
Pooling = Literal["cls_token", "mean_pool", "class_attention"]
PositionRule = Literal["dino", "size", "esvit", "timm", "none"]
POSITION_RULES: tuple[PositionRule, ...] = get_args(PositionRule)

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
