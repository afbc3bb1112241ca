"""The interface of a pretrained network: facts about it, and its features."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from vitbench.errors import MissingAbility, SettingError
from vitbench.models.architecture import Architecture
from vitbench.models.constants import Pooling, PositionRule, Triple
from vitbench.models.initialization import initialize
from vitbench.models.patch_mask import PatchMask
from vitbench.models.python_network import PythonArchitecture, architecture_of_code
from vitbench.models.state_dict import State
from vitbench.models.swin_architecture import SwinArchitecture
from vitbench.models.timm_architecture import TimmArchitecture

AnyArchitecture = Architecture | SwinArchitecture | TimmArchitecture


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
    depth: int  # layers that give features: blocks of a transformer, stages of a pyramid
    heads: int  # of the last block's attention; 0 where it has none
    grid: tuple[int, int]  # (h, w) tokens at the native image size
    prefix_tokens: int  # class and register tokens before the patches
    pooled_from: Pooling  # where `Features.pooled` comes from
    position_rule: PositionRule
    mean: Triple  # input normalization, for RGB in [0, 1]
    std: Triple
    stages: tuple[Stage, ...] = ()  # of a pyramid; a plain ViT is one stage and names none
    native_px: tuple[int, int] | None = None  # (H, W); None: the grid times the patch
    fixed_size: bool = False  # whether the native image size is the only one
    pooled_dim: int | None = None  # width of the last layer's `pooled`, where it is not D

    @property
    def image_size(self) -> tuple[int, int]:
        """Native image size (H, W) in pixels."""
        return self.native_px or (
            self.grid[0] * self.patch_size,
            self.grid[1] * self.patch_size,
        )

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

    def pooled_width(self, layer: int) -> int:
        """Return the width of a layer's image-level feature.

        Raises:
            SettingError: If there is no such layer.
        """
        last = self.absolute(layer) == self.depth - 1
        return self.pooled_dim if last and self.pooled_dim else self.stage(layer).width


@dataclass(frozen=True, slots=True)
class Features:
    """The features of one layer for one batch."""

    pooled: Tensor  # (B, D)       image-level embedding
    patches: Tensor  # (B, D, h, w) patch tokens on their grid; a view, not contiguous


class Backbone(nn.Module, ABC):
    """A network without head that turns normalized images into features, layer by layer.

    A subclass sets `info` and writes `forward`; all else has a default.
    """

    info: BackboneInfo
    architecture: AnyArchitecture | None = None  # what builds it again; None: nothing known

    @property
    def code(self) -> PythonArchitecture:
        """What stands for the network's code, where no architecture builds it again."""
        return architecture_of_code(self, self.info.arch)

    @abstractmethod
    def forward(
        self,
        images: Tensor,
        layers: Sequence[int] = (-1,),
        *,
        norm: bool = True,
        mask: PatchMask | None = None,
    ) -> tuple[Features, ...]:
        """Return the features of the blocks asked for, from one pass.

        Args:
            images: Normalized images (B, 3, H, W); what exceeds a multiple of the patch is cropped.
            layers: Blocks, 0 to depth - 1 or negative from the end, in any order.
            norm: Pass every layer through the final norm. Without it: the raw residual stream.
            mask: Patches to hide, for training; None: none.

        Returns:
            One `Features` for each layer, in the order of `layers`.

        Raises:
            SettingError: If a layer does not exist or an image is smaller than a patch.
            MissingAbility: If the network can't hide patches.
        """

    def own_state(self) -> State:
        """Return the weights by the names that checkpoints are accounted by, not copied."""
        return self.state_dict()

    def fill(self, state: State) -> None:
        """Copy weights, named as by `own_state`, into the network; it has memory already."""
        with torch.no_grad():
            for name, tensor in self.own_state().items():
                tensor.copy_(state[name])

    def reset_weights(self, seed: int) -> None:
        """Give every weight its random first value, drawn by a seed.

        A network on the meta device gets memory on the CPU first.
        """
        initialize(self, torch.Generator().manual_seed(seed))

    def check_images(self, height: int, width: int) -> None:
        """Refuse a size of images that the network can't take, without running it.

        Raises:
            MissingAbility: If only other sizes are possible.
        """
        if self.info.fixed_size and (height, width) != self.info.image_size:
            raise refused_size(self.info, height, width)

    def check_all_sizes(self, *, learning: bool = False) -> None:
        """Refuse a network that can't take images of many sizes, without running it.

        Args:
            learning: Whether it learns from them.

        Raises:
            MissingAbility: If it can't.
        """
        if self.info.fixed_size:
            height, width = self.info.image_size
            raise MissingAbility(
                f"{self.info.arch} takes images of {height} x {width} px only.",
                found="images of many sizes",
                hint="another network, or a protocol that shows images at one size",
            )

    def check_raw(self) -> None:
        """Refuse features before the final norm (`norm=False`), without running the network.

        Raises:
            MissingAbility: If the network gives its features as they are only.
        """

    def map_size(self, height: int, width: int, layer: int = -1) -> tuple[int, int]:
        """Return the size (h, w) of a layer's map for images of a size in pixels.

        Raises:
            SettingError: If there is no such layer.
            MissingAbility: If the network can't take images of this size.
        """
        self.check_images(height, width)
        stride = self.info.stage(layer).stride
        return height // stride, width // stride

    def keys(self, images: Tensor) -> Tensor:
        """Return the patches' keys in the last block's attention, heads joined, (B, D, h, w).

        Raises:
            MissingAbility: If the network has no such attention.
        """
        raise MissingAbility(
            f"{self.info.arch} does not give the keys of its last block.",
            hint="use a plain ViT checkpoint, or features that every network has, where there is a"
            " choice",
        )

    def parameter_layers(self) -> dict[str, int]:
        """Return which layer each parameter belongs to, for learning rates that fall with depth.

        0: what makes tokens of an image; i + 1: block i; the highest number: what follows.

        Raises:
            MissingAbility: If nobody knows the order of the network's parameters.
        """
        raise MissingAbility(
            f"nobody knows which of {self.info.arch}'s parameters come first.",
            hint="a layer decay of 1: the same learning rate for all",
        )

    def branch_depth(self, branch: int) -> float:
        """Return how deep the block of a residual branch lies: 0 for the first, 1 for the last."""
        return (branch // 2) / max(1, self.info.depth - 1)

    def check_drop_path(self) -> None:
        """Refuse stochastic depth, without running the network.

        Raises:
            MissingAbility: If the network has no drop paths that `replace_drop_path` could replace.
        """
        if type(self).replace_drop_path is Backbone.replace_drop_path:
            raise no_drop_path(self.info)

    def replace_drop_path(self, make: Callable[[int, float], nn.Module]) -> None:
        """Put `make(branch, rate)` in the place of each residual branch's drop path.

        Args:
            make: Told the number of the branch, and the rate that it was built with. A block of a
                plain ViT or Swin has two branches: 2 i is the attention of block i, 2 i + 1 its
                MLP; in other networks they are counted as they come, see `branch_depth`.

        Raises:
            MissingAbility: If the network has no stochastic depth.
        """
        raise no_drop_path(self.info)

    def repeated_blocks(self) -> Sequence[nn.Module]:
        """Return the blocks that follow one another: units of activation checkpointing and shards.

        Raises:
            MissingAbility: If nobody knows them.
        """
        raise MissingAbility(
            f"{self.info.arch} names no blocks that could be treated one by one.",
            hint="without --activation-checkpointing and --shard",
        )

    def dense_copy(
        self, *, rule: PositionRule, image_px: int | None = None, heads: int = 0
    ) -> "Backbone":
        """Return a copy to be fine-tuned on a dense task: every weight learns.

        Args:
            rule: How a positional table is resized, now and later.
            image_px: Side of the square image that the table is resized for once, and then learned
                at; None: the table keeps its grid.
            heads: Attention heads, in the place of the network's own; 0: its own.

        Raises:
            SettingError: If the network can't have so many heads.
            MissingAbility: If it can't take images of that side.
        """
        if heads and heads != self.info.heads:
            raise SettingError([f"{self.info.arch} can't have {heads} heads"])
        if image_px is not None:
            self.check_images(image_px, image_px)
        return self._copy_to_learn()

    def _copy_to_learn(self) -> Self:
        return deepcopy(self).requires_grad_(True)

    def attention(self, images: Tensor) -> Tensor:
        """Return the softmaxed attention of the last block, (B, heads, T, T) with T tokens.

        Prefix tokens come first, then the patches row by row.

        Raises:
            MissingAbility: If the network has no attention over the whole image.
        """
        raise no_attention(self.info)


def no_drop_path(info: BackboneInfo) -> MissingAbility:
    """Return the error for stochastic depth that a network does not have."""
    return MissingAbility(
        f"{info.arch} has no stochastic depth that training could control.",
        hint="a drop path of 0, where there is such a setting, or another architecture",
    )


def no_attention(info: BackboneInfo) -> MissingAbility:
    """Return the error for attention maps that a network does not have."""
    return MissingAbility(
        f"{info.arch} has no attention over the whole image that could be read.",
        hint="use a ViT checkpoint for what needs attention maps",
    )


def refuse_mask(info: BackboneInfo, mask: PatchMask | None) -> None:
    """Refuse a mask, of a network that can't hide patches.

    Raises:
        MissingAbility: There is one.
    """
    if mask is not None:
        raise MissingAbility(
            f"{info.arch} can't hide patches, which a masked objective needs.",
            hint="train a plain Vision Transformer, such as --arch vit_small_patch16_224",
        )


def refused_size(info: BackboneInfo, height: int, width: int) -> MissingAbility:
    """Return the error for a size of images that a network can't take."""
    native = f"{info.image_size[0]} x {info.image_size[1]} px"
    return MissingAbility(
        f"{info.arch} can't take images of {height} x {width} px.",
        expected=f"its native {native}" + ("" if info.fixed_size else ", or a size close to it"),
        hint=f"a view of {native}, such as --crop {info.image_size[0]}, where the protocol has one",
    )


@runtime_checkable
class Aggregates(Protocol):
    """An ability: one vector from patch tokens (SelfPatch's class attention)."""

    def aggregate(self, tokens: Tensor) -> Tensor:
        """Pool tokens (B, N, D) to (B, D)."""
        ...
