"""Feature maps of a ViT, all of one stride, brought to strides 4, 8, 16 and 32."""

from collections.abc import Sequence

from torch import Tensor, nn

from vitbench.errors import SettingError
from vitbench.models.batch_norm import GlobalBatchNorm2d


class FourScales(nn.Module):
    """XCiT's adapter: transposed convolutions for the finer maps, pooling for the coarser ones.

    Args:
        dim: Channels of the maps, before and after.
        patch_px: 16 or 8, the stride of the maps that come in.

    Raises:
        SettingError: For another patch size.

    Source:
        facebookresearch/xcit, semantic_segmentation/backbone/xcit.py (82f5291); the same in
        alinlab/SelfPatch's detection (81aef14).
    """

    def __init__(self, dim: int, patch_px: int) -> None:
        super().__init__()
        if patch_px not in (8, 16):
            raise SettingError(
                [f"maps of stride {patch_px} can't be brought to strides 4, 8, 16 and 32"],
                hint="a backbone of patch size 8 or 16",
            )

        def twice() -> nn.Module:
            return nn.ConvTranspose2d(dim, dim, kernel_size=2, stride=2)

        if patch_px == 16:
            self.fpn1 = nn.Sequential(twice(), GlobalBatchNorm2d(dim), nn.GELU(), twice())
            self.fpn2 = nn.Sequential(twice())
            self.fpn3: nn.Module = nn.Identity()
            self.fpn4 = nn.MaxPool2d(2)
        else:
            self.fpn1 = nn.Sequential(twice())
            self.fpn2 = nn.Sequential(nn.Identity())
            self.fpn3 = nn.MaxPool2d(2)
            self.fpn4 = nn.MaxPool2d(4)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return four maps (B, D, h, w), the finest first, from four of one size."""
        scales = (self.fpn1, self.fpn2, self.fpn3, self.fpn4)
        return [scale(each) for scale, each in zip(scales, maps, strict=True)]
