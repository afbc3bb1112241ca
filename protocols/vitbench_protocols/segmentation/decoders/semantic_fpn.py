"""Semantic FPN: a feature pyramid, and for each of its levels convolutions that are summed."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from vitbench.api import Stage
from vitbench.kit import PyramidAdapter, level_strides
from vitbench_protocols.segmentation.decoders.blocks import (
    Classifier,
    ConvUnit,
    plain_conv,
    resized,
)

LEVELS = 4
NECK, HEAD = 256, 128  # channels
STEPS = (1, 1, 2, 3)  # convolutions of each branch, for declared strides 4, 8, 16, 32


class FeaturePyramid(nn.Module):
    """Lateral 1x1 convolutions, sums from the coarsest map to the finest, 3x3 convolutions."""

    def __init__(self, dims: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(plain_conv(dim, width, 1) for dim in dims)
        self.output = nn.ModuleList(plain_conv(width, width, 3) for _ in range(LEVELS))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return four maps (B, width, h, w) of the sizes of the four that come in."""
        found = [lateral(each) for lateral, each in zip(self.lateral, maps, strict=True)]
        for level in range(LEVELS - 1, 0, -1):
            size = found[level - 1].shape[-2:]
            found[level - 1] = found[level - 1] + functional.interpolate(found[level], size=size)
        return [output(each) for output, each in zip(self.output, found, strict=True)]


class Branch(nn.Sequential):
    """The convolutions of one level; all but the finest double the size after each."""

    def __init__(self, width: int, steps: int, *, doubles: bool) -> None:
        parts: list[nn.Module] = []
        for step in range(steps):
            parts.append(ConvUnit(width if step == 0 else HEAD, HEAD, 3))
            if doubles:
                parts.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
        super().__init__(*parts)


class SemanticFPN(nn.Module):
    """Semantic FPN on four maps of a backbone.

    Args:
        dims: Channels of each map.
        classes: How many scores a place gets.
        width: Channels of the pyramid.
        adapter: Changes the sizes of the maps before the pyramid; None leaves them.

    Source:
        Kirillov et al., Panoptic Feature Pyramid Networks, CVPR 2019. As in mmsegmentation 0.x, FPN
        and FPNHead, with the settings of alinlab/SelfPatch (81aef14), segmentation/configs,
        semfpn_vit-s16_512x512_40k_ade20k.py, and facebookresearch/xcit (82f5291).
    """

    loss_weights = (1.0,)

    def __init__(
        self,
        dims: Sequence[int],
        classes: int,
        *,
        width: int = NECK,
        adapter: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.adapter = adapter
        self.pyramid = FeaturePyramid(dims, width)
        self.branches = nn.ModuleList(
            Branch(width, steps, doubles=level > 0) for level, steps in enumerate(STEPS)
        )
        self.classifier = Classifier(HEAD, classes)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return class scores (B, classes, h, w) of the finest map's size."""
        levels = self.pyramid(maps if self.adapter is None else self.adapter(maps))
        first, *others = (
            branch(level) for branch, level in zip(self.branches, levels, strict=True)
        )
        for other in others:
            first = first + resized(other, first.shape[-2:])
        return (self.classifier(first),)


def as_released(maps: Sequence[Stage], classes: int) -> SemanticFPN:
    """Return SelfPatch's: a ViT's four maps have one stride, and the head takes them for four."""
    return SemanticFPN([each.width for each in maps], classes)


def with_deconvolutions(maps: Sequence[Stage], classes: int) -> SemanticFPN:
    """Return XCiT's: maps of strides 4 to 32, and a pyramid of the last one's width.

    A network whose own maps are a pyramid is left as it is. Maps of stride 14 px are taken for
    ones of 16.
    """
    dims, strides = [each.width for each in maps], level_strides(maps)
    adapter = PyramidAdapter(dims[0], strides[0]) if len(set(strides)) == 1 else None
    return SemanticFPN(dims, classes, width=dims[-1], adapter=adapter)
