"""UPerNet: pooled context at the top of a feature pyramid, and an auxiliary head."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vitbench.api import Stage
from vitbench_protocols.segmentation.decoders.blocks import (
    Classifier,
    ConvUnit,
    plain_conv,
    resized,
)

WIDTH, AUXILIARY = 512, 256  # channels
SCALES = (4.0, 2.0, 1.0, 0.5)
POOLS = (1, 2, 3, 6)


class MultiLevelNeck(nn.Module):
    """Makes maps of strides 4 to 32 (for patches of 16 px) by resizing between convolutions."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(plain_conv(dim, dim, 1) for _ in SCALES)
        self.output = nn.ModuleList(plain_conv(dim, dim, 3) for _ in SCALES)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return four maps (B, D, h * scale, w * scale)."""
        made = []
        for scale, each, lateral, output in zip(
            SCALES, maps, self.lateral, self.output, strict=True
        ):
            height, width = (max(1, int(side * scale)) for side in each.shape[-2:])
            made.append(output(resized(lateral(each), (height, width))))
        return made


class PooledContext(nn.Module):
    """Means over grids of several sizes, put beside the map they were taken from."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pools = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(size), ConvUnit(dim, WIDTH, 1)) for size in POOLS
        )
        self.bottleneck = ConvUnit(dim + len(POOLS) * WIDTH, WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, WIDTH, h, w)."""
        pooled = [resized(pool(x), x.shape[-2:]) for pool in self.pools]
        made: Tensor = self.bottleneck(torch.cat([x, *pooled], dim=1))
        return made


class UPerNet(nn.Module):
    """UPerNet on four maps of a backbone.

    Args:
        dims: Channels of each map.
        classes: How many scores a place gets.
        neck: Changes the sizes of the maps first; None leaves them.

    Source:
        Xiao et al., Unified Perceptual Parsing, ECCV 2018. As in mmsegmentation 0.x, UPerHead and
        MultiLevelNeck, with the settings of its DeiT-S "MLN" configuration, which the 58 M
        parameters of SelfPatch's table 1 point to; no configuration was released.
    """

    loss_weights = (1.0, 0.4)

    def __init__(self, dims: Sequence[int], classes: int, neck: nn.Module | None) -> None:
        super().__init__()
        self.neck = neck
        self.context = PooledContext(dims[-1])
        self.lateral = nn.ModuleList(ConvUnit(dim, WIDTH, 1) for dim in dims[:-1])
        self.output = nn.ModuleList(ConvUnit(WIDTH, WIDTH, 3) for _ in SCALES[1:])
        self.bottleneck = ConvUnit(len(SCALES) * WIDTH, WIDTH, 3)
        self.classifier = Classifier(WIDTH, classes)
        self.auxiliary = nn.Sequential(
            ConvUnit(dims[-1], AUXILIARY, 3), Classifier(AUXILIARY, classes)
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return class scores (B, classes, h, w); while training the auxiliary head's too."""
        *fine, coarse = maps if self.neck is None else self.neck(maps)
        levels = [lateral(each) for lateral, each in zip(self.lateral, fine, strict=True)]
        levels.append(self.context(coarse))
        for level in range(len(levels) - 1, 0, -1):
            size = levels[level - 1].shape[-2:]
            levels[level - 1] = levels[level - 1] + resized(levels[level], size)
        outputs = [output(each) for output, each in zip(self.output, levels[:-1], strict=True)]
        size = outputs[0].shape[-2:]
        joined = torch.cat([resized(each, size) for each in (*outputs, levels[-1])], dim=1)
        scores = self.classifier(self.bottleneck(joined))
        return (scores, self.auxiliary(coarse)) if self.training else (scores,)


def upernet(maps: Sequence[Stage], classes: int) -> UPerNet:
    """Return UPerNet; a neck makes a pyramid of maps that are none."""
    dims = [each.width for each in maps]
    one_stride = len({each.stride for each in maps}) == 1
    return UPerNet(dims, classes, MultiLevelNeck(dims[0]) if one_stride else None)
