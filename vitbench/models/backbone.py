"""What every protocol and trainer may ask of a pretrained network: facts and features."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from vitbench.errors import MissingAbility, SettingError
from vitbench.models.facts import Pooling, PositionRule, Triple


@dataclass(frozen=True, slots=True)
class Stage:
    """Consecutive blocks whose maps have one size."""

    blocks: int
    width: int  # D of their features
    stride: int  # pixels of an image per token, in each direction


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneInfo:
    """Facts of a backbone that a protocol may need."""

    arch: str
    embed_dim: int  # D
    patch_size: int  # pixels of an image per token, in each direction
    depth: int  # blocks
    heads: int
    grid: tuple[int, int]  # (h, w) tokens at the native image size
    prefix_tokens: int  # class and register tokens before the patches
    pooled_from: Pooling  # where `Features.pooled` comes from
    position_rule: PositionRule
    mean: Triple  # input normalization, for RGB in [0, 1]
    std: Triple
    stages: tuple[Stage, ...] = ()  # of a pyramid; a plain ViT is one stage and names none

    @property
    def image_size(self) -> tuple[int, int]:
        """Native image size (H, W) in pixels."""
        return self.grid[0] * self.patch_size, self.grid[1] * self.patch_size

    def absolute(self, layer: int) -> int:
        """Return the index of a block, counted from the first.

        Raises:
            SettingError: If there is no such block.
        """
        if not -self.depth <= layer < self.depth:
            last = self.depth - 1
            raise SettingError(
                [f"layer {layer} does not exist: {self.arch} has layers 0 to {last}, "
                 f"or -{self.depth} to -1 counted from the end"]
            )  # fmt: skip
        return layer % self.depth

    def stage(self, layer: int) -> Stage:
        """Return the stage that a block belongs to: its width and stride.

        Raises:
            SettingError: If there is no such block.
        """
        index = self.absolute(layer)
        for stage in self.stages:
            if index < stage.blocks:
                return stage
            index -= stage.blocks
        return Stage(self.depth, self.embed_dim, self.patch_size)


@dataclass(frozen=True, slots=True)
class Features:
    """What one layer says of one batch."""

    pooled: Tensor  # (B, D)       image-level embedding
    patches: Tensor  # (B, D, h, w) patch tokens on their grid; a view, not contiguous


class Backbone(nn.Module, ABC):
    """A network without head that turns normalized images into features, layer by layer."""

    info: BackboneInfo

    @abstractmethod
    def forward(
        self, images: Tensor, layers: Sequence[int] = (-1,), *, norm: bool = True
    ) -> tuple[Features, ...]:
        """Return the features of the blocks asked for, from one pass.

        Args:
            images: Normalized images (B, 3, H, W); what exceeds a multiple of the patch is cropped.
            layers: Blocks, 0 to depth - 1 or negative from the end, in any order.
            norm: Pass every layer through the final norm. Without it: the raw residual stream.

        Returns:
            One `Features` for each layer, in the order of `layers`.

        Raises:
            SettingError: If a layer does not exist or an image is smaller than a patch.
        """

    def attention(self, images: Tensor) -> Tensor:
        """Return the softmaxed attention of the last block, (B, heads, T, T) with T tokens.

        Prefix tokens come first, then the patches row by row.

        Raises:
            MissingAbility: If the network has no attention over the whole image.
        """
        raise MissingAbility(
            f"{self.info.arch} has no attention over the whole image.",
            hint="use a ViT checkpoint for what needs attention maps",
        )


@runtime_checkable
class Aggregates(Protocol):
    """An ability: one vector from patch tokens (SelfPatch's class attention)."""

    def aggregate(self, tokens: Tensor) -> Tensor:
        """Pool tokens (B, N, D) to (B, D)."""
        ...
