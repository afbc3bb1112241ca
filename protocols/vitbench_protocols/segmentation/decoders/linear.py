"""The linear decoder: batch normalization and one linear map from token to class scores."""

from collections.abc import Sequence

from torch import Tensor, nn

from vitbench_protocols.segmentation.decoders.blocks import CLASSIFIER_STD


class LinearDecoder(nn.Module):
    """BatchNorm and a 1x1 convolution on the tokens of one block.

    Source:
        Oquab et al., DINOv2, TMLR 2024, section 7.4 ("lin."); facebookresearch/dinov2, BNHead.
    """

    loss_weights = (1.0,)

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(dim)  # it is given the batch of all processes
        self.classifier = nn.Conv2d(dim, classes, kernel_size=1)
        nn.init.normal_(self.classifier.weight, std=CLASSIFIER_STD)
        nn.init.zeros_(self.classifier.bias)  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return class scores (B, classes, h, w)."""
        (tokens,) = maps
        return (self.classifier(self.bn(tokens)),)
