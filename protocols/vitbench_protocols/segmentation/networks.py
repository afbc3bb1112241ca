"""Networks that segment: a decoder on a backbone, learning together or the decoder alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vitbench.api import Backbone, Context, DropPath
from vitbench_protocols.segmentation.decoders import draw_dropout


class TrainedTogether(nn.Module):
    """A decoder on raw tokens of some blocks, and the backbone learning with it.

    Args:
        backbone: A copy of one's own.
        decoder: Gets one map a block.
        layers: The blocks.
        drop_path: Stochastic depth of the last block.
    """

    def __init__(
        self, backbone: Backbone, decoder: Any, *, layers: Sequence[int], drop_path: float
    ) -> None:
        super().__init__()
        self.backbone, self.decoder, self.layers = backbone, decoder, tuple(layers)
        self.patch_px = backbone.info.patch_size
        self.loss_weights: tuple[float, ...] = decoder.loss_weights
        self.drop_path = DropPath(backbone, last=drop_path)

    def draw(self, seed: int, positions: range) -> None:
        """Draw all that is random in the pass of the next batch."""
        draw_dropout(self.decoder, seed, positions)
        where = next(self.parameters())
        indices = np.asarray(positions)
        scales = self.drop_path.draw(seed=seed, step=0, crops=range(1), indices=indices)
        self.drop_path.scales = torch.as_tensor(scales).to(where.device, where.dtype)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return class scores of normalized images, each output (B, C, h, w)."""
        if not self.training:
            self.drop_path.scales = None
        features = self.backbone(images, self.layers, norm=False)
        found: tuple[Tensor, ...] = self.decoder([each.patches for each in features])
        return found


class TrainedAlone(nn.Module):
    """A decoder on the normalized tokens of one block of a backbone that stays as it is."""

    def __init__(self, backbone: Backbone, decoder: Any, *, layer: int) -> None:
        super().__init__()
        self.decoder, self.layer = decoder, layer
        self.patch_px = backbone.info.stage(layer).stride
        self.loss_weights: tuple[float, ...] = decoder.loss_weights
        self._lent = (backbone,)  # in a tuple: no part of what is trained and saved

    def draw(self, seed: int, positions: range) -> None:
        """Draw all that is random in the pass of the next batch."""
        draw_dropout(self.decoder, seed, positions)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return class scores of normalized images, each output (B, C, h, w)."""
        with torch.no_grad():
            (features,) = self._lent[0](images, (self.layer,))
        found: tuple[Tensor, ...] = self.decoder([features.patches])
        return found


Network = TrainedTogether | TrainedAlone


class NetworkSegmenter:
    """A network as a `Segmenter`."""

    def __init__(self, network: Network, context: Context) -> None:
        self.network, self._context = network, context
        self.patch_px = network.patch_px
        self.device, self.normalization = context.device, context.normalization

    def scores(self, images: Tensor) -> Tensor:
        """See `Segmenter.scores`: logits."""
        self.network.eval()
        with self._context.autocast():
            found: Tensor = self.network(images)[0]
        return found.float()

    def probabilities(self, scores: Tensor) -> Tensor:
        """See `Segmenter.probabilities`."""
        return scores.softmax(dim=1)
