"""A trunk of patch tokens with class attention on top: SelfPatch's form of a backbone."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from vitbench.models.backbone import Backbone, Features
from vitbench.models.class_attention import ClassAttention
from vitbench.models.constants import PositionRule
from vitbench.models.patch_mask import PatchMask
from vitbench.models.state_dict import State

CA_HEAD = "ca_head."  # prefix of class attention among our names


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
        if trunk.architecture is not None:
            blocks = len(ca_head.cls_blocks)
            self.architecture = replace(trunk.architecture, class_attention=blocks)

    def forward(
        self,
        images: Tensor,
        layers: Sequence[int] = (-1,),
        *,
        norm: bool = True,
        mask: PatchMask | None = None,
    ) -> tuple[Features, ...]:
        """See `Backbone.forward`: patches as the trunk gives them, pooled normalized."""
        found = self.trunk(images, layers, norm=norm, mask=mask)
        tokens = [patch_tokens(features) for features in found]
        if mask is not None:
            tokens = [mask.leave_out(part) for part in tokens]
        return tuple(
            Features(self.aggregate(part), features.patches)
            for part, features in zip(tokens, found, strict=True)
        )

    def aggregate(self, tokens: Tensor) -> Tensor:
        """Pool patch tokens (B, N, D) to one normalized vector each, (B, D)."""
        return self.ca_head(tokens)  # type: ignore[no-any-return]

    def own_state(self) -> State:
        """Return the trunk's weights by its own names, and class attention's after `CA_HEAD`."""
        return {**self.trunk.own_state(), **self.ca_head.state_dict(prefix=CA_HEAD)}

    def fill(self, state: State) -> None:
        """See `Backbone.fill`."""
        self.trunk.fill(state)
        with torch.no_grad():
            for name, tensor in self.ca_head.state_dict(prefix=CA_HEAD).items():
                tensor.copy_(state[name])

    def check_images(self, height: int, width: int) -> None:
        """See `Backbone.check_images`."""
        self.trunk.check_images(height, width)

    def check_all_sizes(self, *, learning: bool = False) -> None:
        """See `Backbone.check_all_sizes`."""
        self.trunk.check_all_sizes(learning=learning)

    def check_raw(self) -> None:
        """See `Backbone.check_raw`."""
        self.trunk.check_raw()

    def map_size(self, height: int, width: int, layer: int = -1) -> tuple[int, int]:
        """See `Backbone.map_size`."""
        return self.trunk.map_size(height, width, layer)

    def branch_depth(self, branch: int) -> float:
        """See `Backbone.branch_depth`: of the trunk's branches."""
        return self.trunk.branch_depth(branch)

    def check_drop_path(self) -> None:
        """See `Backbone.check_drop_path`."""
        self.trunk.check_drop_path()

    def parameter_layers(self) -> dict[str, int]:
        """See `Backbone.parameter_layers`: of the trunk, as `dense_copy` leaves it."""
        return self.trunk.parameter_layers()

    def replace_drop_path(self, make: Callable[[int, float], nn.Module]) -> None:
        """See `Backbone.replace_drop_path`: those of the trunk."""
        self.trunk.replace_drop_path(make)

    def repeated_blocks(self) -> Sequence[nn.Module]:
        """See `Backbone.repeated_blocks`: those of the trunk."""
        return self.trunk.repeated_blocks()

    def dense_copy(
        self, *, rule: PositionRule, image_px: int | None = None, heads: int = 0
    ) -> Backbone:
        """See `Backbone.dense_copy`; class attention is left out, it makes no patch tokens."""
        return self.trunk.dense_copy(rule=rule, image_px=image_px, heads=heads)

    def attention(self, images: Tensor) -> Tensor:
        """See `Backbone.attention`; there is no class token among the tokens."""
        return self.trunk.attention(images)

    def keys(self, images: Tensor) -> Tensor:
        """See `Backbone.keys`."""
        return self.trunk.keys(images)


def patch_tokens(features: Features) -> Tensor:
    """Return the patches as a sequence, row by row, (B, N, D)."""
    return features.patches.flatten(2).transpose(1, 2)
