"""Bring feature maps of a backbone to strides 4, 8, 16 and 32."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import log2

import torch
from torch import Tensor, nn

from vitbench.errors import SettingError
from vitbench.models.backbone import BackboneInfo, Stage
from vitbench.models.batch_norm import GlobalBatchNorm2d

STRIDES = (4, 8, 16, 32)  # px


def pyramid_layers(info: BackboneInfo) -> tuple[int, ...] | None:
    """Return four layers of a network that is a pyramid by itself, for strides 4, 8, 16 and 32.

    Each is the last layer of the stage whose stride is nearest by ratio, the finer one of two; so
    a network with fewer stages gives one of its maps twice.

    Returns:
        None for a network whose maps have one stride.
    """
    if not info.stages:
        return None
    ends = list(accumulate(stage.blocks for stage in info.stages))
    strides = [stage.stride for stage in info.stages]

    def nearest(stride: int) -> int:
        return min(
            range(len(ends)),
            key=lambda at: (abs(log2(strides[at] / stride)), strides[at], -at),
        )

    return tuple(ends[nearest(stride)] - 1 for stride in STRIDES)


def level_strides(stages: Sequence[Stage]) -> tuple[int, ...]:
    """Return the strides that four maps are taken for.

    Maps of different strides are the levels of a pyramid. Maps of one stride are taken for the
    nearest of 4, 8, 16 and 32 px, as patches of 14 px are for 16.
    """
    strides = [stage.stride for stage in stages]
    if len(set(strides)) > 1:
        return STRIDES
    return (min(STRIDES, key=lambda stride: abs(log2(strides[0] / stride))),) * len(strides)


class PyramidAdapter(nn.Module):
    """XCiT's adapter: transposed convolutions for the finer maps, pooling for the coarser ones.

    Args:
        dim: Channels of the maps, before and after.
        patch_px: 4, 8, 16 or 32, the stride of the maps that come in.

    Raises:
        SettingError: For another patch size.

    Source:
        facebookresearch/xcit, semantic_segmentation/backbone/xcit.py (82f5291); the same in
        alinlab/SelfPatch's detection (81aef14).

    Differs:
        The references know patches of 8 and 16 px.
    """

    def __init__(self, dim: int, patch_px: int) -> None:
        super().__init__()
        if patch_px not in STRIDES:
            raise SettingError(
                [f"maps of stride {patch_px} can't be brought to strides 4, 8, 16 and 32"],
                hint="maps of stride 4, 8, 16 or 32; see `level_strides`",
            )
        self.fpn1, self.fpn2, self.fpn3, self.fpn4 = (
            rescaling(dim, patch_px, stride, norm=GlobalBatchNorm2d) for stride in STRIDES
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return four maps (B, D, h, w), the finest first, from four of one size."""
        scales = (self.fpn1, self.fpn2, self.fpn3, self.fpn4)
        return [scale(each) for scale, each in zip(scales, maps, strict=True)]

    def of_each(self, batches: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
        """Return the four maps of each of several batches of images, whose sizes differ.

        Batch normalization sees all places of all images, as if they were one batch.

        Args:
            batches: Four maps (B, D, h, w) of each.
        """
        scales = (self.fpn1, self.fpn2, self.fpn3, self.fpn4)
        columns = [
            _run(scale, [maps[level] for maps in batches]) for level, scale in enumerate(scales)
        ]
        return [list(maps) for maps in zip(*columns, strict=True)]


def rescaling(
    dim: int, from_px: int, to_px: int, *, norm: Callable[[int], nn.Module], shrink: int = 1
) -> nn.Sequential:
    """Return what brings maps of one stride to another, both powers of two.

    A norm and GELU stand between two transposed convolutions; coarser maps are pooled.

    Args:
        dim: Channels of the maps that come in.
        from_px: Their stride.
        to_px: The stride of those that go out.
        norm: Makes a norm over some channels.
        shrink: What each transposed convolution divides the channels by.
    """
    if from_px < to_px:
        return nn.Sequential(nn.MaxPool2d(to_px // from_px))
    parts: list[nn.Module] = []
    while from_px > to_px:
        if parts:
            parts += [norm(dim), nn.GELU()]
        parts.append(nn.ConvTranspose2d(dim, dim // shrink, kernel_size=2, stride=2))
        dim, from_px = dim // shrink, from_px // 2
    return nn.Sequential(*parts)


def _run(layers: nn.Sequential, maps: list[Tensor]) -> list[Tensor]:
    for layer in layers:
        if isinstance(layer, GlobalBatchNorm2d):
            wide = [each.transpose(0, 1) for each in maps]  # (C, B, h, w)
            flat = torch.cat([each.flatten(1) for each in wide], dim=1)
            parts = layer(flat[None, ..., None])[0, ..., 0].split(
                [each[0].numel() for each in wide], dim=1
            )
            maps = [
                part.view(each.shape).transpose(0, 1)
                for part, each in zip(parts, wide, strict=True)
            ]
        else:
            maps = [layer(each) for each in maps]
    return maps
