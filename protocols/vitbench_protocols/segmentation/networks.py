"""Networks that segment: a decoder on a backbone, learning together or the decoder alone."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from vitbench.api import Backbone, Context
from vitbench.kit import DropPath, distributed, keep_statistics, send
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

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but the backbone's batch norms, which keep their statistics."""
        super().train(mode)
        keep_statistics(self.backbone)
        return self

    def draw(self, seed: int, positions: range) -> None:
        """Draw all that is random in the pass of the next batch."""
        draw_dropout(self.decoder, seed, positions)
        where = next(self.parameters())
        indices = np.asarray(positions)
        scales = self.drop_path.draw(seed=seed, step=0, crops=range(1), indices=indices)
        self.drop_path.scales = send(scales, where.device, where.dtype)

    def learned_from(self, truth: Tensor) -> Tensor:
        """Return the classes of the images that a training pass scores: this process's own."""
        return truth

    def share(self, loss: Tensor) -> Tensor:
        """Return this process's part of the loss, whose mean over processes is the batch's."""
        return loss

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return class scores of normalized images, each output (B, C, h, w)."""
        if not self.training:
            self.drop_path.scales = None
        features = self.backbone(images, self.layers, norm=False)
        found: tuple[Tensor, ...] = self.decoder([each.patches for each in features])
        return found


class TrainedAlone(nn.Module):
    """A decoder on the normalized tokens of one block of a backbone that stays as it is.

    Every process reads the tokens of its own images, one by one, and learns from those of all: so
    the decoder is the same to the bit on 1, 2, 4, 8, … processes.
    """

    def __init__(self, backbone: Backbone, decoder: Any, *, layer: int) -> None:
        super().__init__()
        self.decoder, self.layer = decoder, layer
        self.patch_px = backbone.info.stage(layer).stride
        self.loss_weights: tuple[float, ...] = decoder.loss_weights
        self._lent = (backbone,)  # in a tuple: no part of what is trained and saved

    def draw(self, seed: int, positions: range) -> None:
        """Draw all that is random in the pass of the next batch."""
        draw_dropout(self.decoder, seed, positions)

    def learned_from(self, truth: Tensor) -> Tensor:
        """Return the classes of the images that a training pass scores: those of all processes."""
        return distributed.gather_rows(truth)

    def share(self, loss: Tensor) -> Tensor:
        """Return the whole loss on the main process and none on others, to be averaged exactly."""
        return loss * (distributed.world_size() if distributed.is_main() else 0)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return class scores of normalized images, each output (B, C, h, w).

        While training, of the images of all processes, in their order.
        """
        tokens = self._tokens(images)
        if self.training:
            tokens = distributed.gather_rows(tokens)
        found: tuple[Tensor, ...] = self.decoder([tokens])
        return found

    @torch.no_grad()
    def _tokens(self, images: Tensor) -> Tensor:
        """Return the tokens (B, D, h, w), whose bits do not depend on how many images there are."""
        read = [self._lent[0](image[None], (self.layer,))[0].patches for image in images]
        return torch.cat(read)


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
