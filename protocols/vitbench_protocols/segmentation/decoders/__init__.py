"""Decoders of segmentation: from feature maps of a backbone to class scores, one module each."""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor, nn

from vitbench.api import Stage
from vitbench_protocols.segmentation.decoders import semantic_fpn, upernet
from vitbench_protocols.segmentation.decoders.blocks import ChannelDropout
from vitbench_protocols.segmentation.settings import DecoderName


class Decoder(Protocol):
    """The interface of a decoder, which is an `nn.Module` too."""

    loss_weights: tuple[float, ...]  # of the loss of each of its outputs

    def __call__(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return class scores (B, classes, h, w), and those of auxiliary heads while training."""
        ...


MAKERS: dict[DecoderName, Callable[[Sequence[Stage], int], nn.Module]] = {
    "semantic-fpn": semantic_fpn.as_released,
    "semantic-fpn-deconv": semantic_fpn.with_deconvolutions,
    "upernet": upernet.upernet,
}


def draw_dropout(decoder: nn.Module, seed: int, samples: range) -> None:
    """Draw every dropout of a decoder for the samples of the next batch."""
    for name, module in decoder.named_modules():
        if isinstance(module, ChannelDropout):
            module.draw(seed, f"dropout {name}", samples)
