"""Building blocks of the decoders."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vitbench.kit import GlobalBatchNorm2d, keyed_uniform, send

DROPOUT = 0.1
CLASSIFIER_STD = 0.01


class ChannelDropout(nn.Module):
    """Drops whole channels; which ones is drawn by (seed, sample), not by a process's stream."""

    def __init__(self, channels: int, rate: float = DROPOUT) -> None:
        super().__init__()
        self.channels, self.rate = channels, rate
        self._scales: Tensor | None = None

    def draw(self, seed: int, stream: str, samples: range) -> None:
        """Draw for the next batch: which channels survive in each sample, and by what factor."""
        drawn = keyed_uniform(seed, stream, np.asarray(samples), count=self.channels)
        kept = np.where(drawn < 1 - self.rate, 1 / (1 - self.rate), 0.0)
        self._scales = torch.from_numpy(kept).float()  # (B, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of maps (B, C, H, W) while training."""
        if not self.training or self._scales is None:
            return x
        return x * send(self._scales, x.device, x.dtype)[:, :, None, None]


class ConvUnit(nn.Sequential):
    """Convolution, batch normalization, ReLU."""

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        convolution = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        super().__init__(convolution, GlobalBatchNorm2d(width), nn.ReLU(inplace=True))


class Classifier(nn.Sequential):
    """Channel dropout, then one score for each class and place."""

    def __init__(self, width: int, classes: int) -> None:
        convolution = nn.Conv2d(width, classes, kernel_size=1)
        nn.init.normal_(convolution.weight, std=CLASSIFIER_STD)
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        super().__init__(ChannelDropout(width), convolution)


def plain_conv(channels: int, width: int, kernel: int) -> nn.Conv2d:
    """Return a convolution with bias, as the necks have."""
    convolution = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(convolution.weight)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return convolution


def resized(x: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """Resize maps (B, C, h, w) bilinearly."""
    return functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
