"""A trunk of patch tokens with class attention on top: SelfPatch's form of a backbone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from vitbench.models.backbone import Backbone, Features
from vitbench.models.class_attention import ClassAttention


class AggregatedBackbone(Backbone):
    """Any backbone whose image-level feature is made from its patches by class attention.

    Args:
        trunk: Where the patch tokens come from; in SelfPatch a ViT without class token and
            without final norm.
        ca_head: The aggregation module, of the trunk's width.

    Source:
        Yun et al., SelfPatch, CVPR 2022, section 3.2; alinlab/SelfPatch, main_selfpatch.py,
        MultiCropWrapper (81aef14).
    """

    def __init__(self, trunk: Backbone, ca_head: ClassAttention) -> None:
        super().__init__()
        self.trunk, self.ca_head = trunk, ca_head
        self.info = replace(trunk.info, pooled_from="class_attention")

    def forward(
        self, images: Tensor, layers: Sequence[int] = (-1,), *, norm: bool = True
    ) -> tuple[Features, ...]:
        """See `Backbone.forward`: patches as the trunk gives them, pooled normalized."""
        return tuple(
            Features(self.aggregate(patch_tokens(features)), features.patches)
            for features in self.trunk(images, layers, norm=norm)
        )

    def aggregate(self, tokens: Tensor) -> Tensor:
        """Pool patch tokens (B, N, D) to one normalized vector each, (B, D)."""
        return self.ca_head(tokens)  # type: ignore[no-any-return]

    def replace_drop_path(self, make: Callable[[int, float], nn.Module]) -> None:
        """Put `make(branch, rate)` in the place of each drop path of the trunk."""
        trunk: Any = self.trunk
        trunk.replace_drop_path(make)

    def attention(self, images: Tensor) -> Tensor:
        """See `Backbone.attention`; there is no class token among the tokens."""
        return self.trunk.attention(images)


def patch_tokens(features: Features) -> Tensor:
    """Return the patches as a sequence, row by row, (B, N, D)."""
    return features.patches.flatten(2).transpose(1, 2)
