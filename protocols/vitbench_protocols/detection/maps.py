"""From a backbone to a pyramid: four of its maps, at four strides, of one width."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from vitbench.api import Backbone, BackboneInfo, Stage, errors
from vitbench.kit import (
    DropPath,
    PyramidAdapter,
    in_cells,
    keep_statistics,
    level_strides,
    pyramid_layers,
    rescaling,
    send,
)

STRIDES = (4, 8, 16, 32)  # px
Pyramid = OrderedDict[str, Tensor]  # "0" to "3" and "pool", the finest first


def default_layers(info: BackboneInfo) -> tuple[int, ...]:
    """Return the levels of a network that is a pyramid by itself, else the published blocks.

    Those are 3, 5, 7 and 11 of a ViT with 12 blocks, and at the same depths of another.
    """
    published = tuple(max(info.depth * part // 12 - 1, 0) for part in (4, 6, 8, 12))
    return pyramid_layers(info) or published


class Taps(nn.Module):
    """Maps of some layers of a backbone at the strides they are taken for, and an adapter on them.

    A map of another stride, or of another size than the image has cells of its stride, is resized
    bilinearly. Batch normalization inside the backbone keeps the statistics it came with, as in
    Mask R-CNN: few images pass together, which is no batch to take statistics of.

    Args:
        backbone: A copy of one's own.
        layers: The layers.
        strides: What their maps are taken for, in pixels.
        adapter: Changes the maps of all batches together (`of_each`).
        frozen: Leaves the backbone as it is: no gradient, no drop path, not saved.
        drop_path: Stochastic depth of the first and the last block.
    """

    def __init__(
        self,
        backbone: Backbone,
        layers: Sequence[int],
        strides: Sequence[int],
        adapter: nn.Module,
        *,
        frozen: bool,
        drop_path: tuple[float, float],
    ) -> None:
        super().__init__()
        self.layers, self.strides = tuple(layers), tuple(strides)
        self.adapter, self.info = adapter, backbone.info
        self._held = (backbone,)  # in a tuple: a frozen one is no part of what is trained and saved
        self.drop_path: DropPath | None = None
        if frozen:
            backbone.requires_grad_(False)
            backbone.eval()
        else:
            self.backbone = backbone
            self.drop_path = DropPath(backbone, first=drop_path[0], last=drop_path[1])

    def forward(
        self, batches: Sequence[Tensor], seed: int, positions: Sequence[Sequence[int]]
    ) -> list[list[Tensor]]:
        """Return the four maps (B, D, h, w) of each batch (B, 3, H, W).

        Args:
            batches: Images of one size each.
            seed: Of the drop path.
            positions: Of the images in the stream of samples.
        """
        raw = []
        for batch, mine in zip(batches, positions, strict=True):
            if self.drop_path is not None:
                self.drop_path.scales = self._scales(seed, mine, batch) if self.training else None
            raw.append(self._maps(batch))
        adapter: Any = self.adapter
        found: list[list[Tensor]] = adapter.of_each(raw)
        return found

    def parameter_layers(self) -> dict[str, int]:
        """Return the layer of each of the backbone's parameters; none where it is frozen."""
        return {} if self.drop_path is None else self._held[0].parameter_layers()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but the backbone's batch norms, which keep their statistics."""
        super().train(mode)
        keep_statistics(self._held[0])
        return self

    def _maps(self, images: Tensor) -> list[Tensor]:
        """Return the maps (B, D, h, w) of images whose sides are whole multiples of 32 px."""
        height, width = images.shape[-2:]
        unit = self.info.patch_size
        whole = functional.pad(images, (0, -width % unit, 0, -height % unit))
        found = self._held[0](whole, self.layers, norm=False)
        covered = (whole.shape[-2], whole.shape[-1])
        return [
            in_cells(each.patches, covered, stride, (height // stride, width // stride))
            for each, stride in zip(found, self.strides, strict=True)
        ]

    def _scales(self, seed: int, positions: Sequence[int], images: Tensor) -> Tensor:
        assert self.drop_path is not None
        indices = np.asarray(positions)
        drawn = self.drop_path.draw(seed=seed, step=0, crops=range(1), indices=indices)
        return send(drawn, images.device, images.dtype)


class AsTheyAre(nn.Module):
    """No adapter."""

    def of_each(self, batches: list[list[Tensor]]) -> list[list[Tensor]]:
        """Return the maps."""
        return batches


class Norms(nn.Module):
    """A layer norm for each map of a network that is a pyramid by itself.

    Source:
        SwinTransformer/Swin-Transformer-Object-Detection, mmdet/models/backbones/
        swin_transformer.py, norm0 to norm3.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.norms = nn.ModuleList(ChannelNorm(width) for width in widths)

    def of_each(self, batches: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
        """Return the normalized maps of each batch."""
        return [
            [norm(each) for norm, each in zip(self.norms, maps, strict=True)] for maps in batches
        ]


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of maps (B, D, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize each place."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Fpn(nn.Module):
    """torchvision's feature pyramid with a fifth level, started as mmdetection starts its own."""

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.fpn = FeaturePyramidNetwork(list(widths), channels, LastLevelMaxPool())
        for layer in self.fpn.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)

    def forward(self, maps: Sequence[Tensor]) -> Pyramid:
        """Return the pyramid of images of one size."""
        named = OrderedDict((str(level), each) for level, each in enumerate(maps))
        found: Pyramid = self.fpn(named)
        return found


class SimplePyramid(nn.Module):
    """A pyramid of one map: each level is made of the last map alone.

    Source:
        Li et al., Exploring Plain Vision Transformer Backbones for Object Detection, ECCV 2022;
        facebookresearch/detectron2, modeling/backbone/vit.py, SimpleFeaturePyramid.
    """

    def __init__(self, dim: int, patch_px: int, channels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        for stride in STRIDES:
            scale = rescaling(dim, patch_px, stride, norm=ChannelNorm, shrink=2)
            width = dim * min(stride, patch_px) // patch_px
            self.levels.append(
                nn.Sequential(
                    *scale,
                    nn.Conv2d(width, channels, 1, bias=False),
                    ChannelNorm(channels),
                    nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                    ChannelNorm(channels),
                )
            )

    def forward(self, maps: Sequence[Tensor]) -> Pyramid:
        """Return the pyramid of images of one size."""
        found = [level(maps[0]) for level in self.levels]
        named = OrderedDict((str(number), each) for number, each in enumerate(found))
        named["pool"] = functional.max_pool2d(found[-1], kernel_size=1, stride=2)
        return named


def check_four(info: BackboneInfo, layers: Sequence[int]) -> None:
    """Refuse layers that are not four, or that do not exist.

    Raises:
        SettingError: Says which layers were found.
    """
    strides = [info.stage(layer).stride for layer in layers]
    if len(strides) != len(STRIDES):
        raise errors.SettingError(
            [f"blocks {tuple(layers)} of {info.arch} have maps of strides {strides} px,"
             " expected four maps"],
            hint="--layers: four blocks of a ViT, or of a pyramid from fine to coarse; or none",
        )  # fmt: skip


def four_levels(stages: Sequence[Stage]) -> nn.Module:
    """Return what makes the levels of a pyramid of four maps at their `level_strides`."""
    strides = level_strides(stages)
    if strides == STRIDES:
        return Norms([stage.width for stage in stages])
    return PyramidAdapter(stages[0].width, strides[0])
