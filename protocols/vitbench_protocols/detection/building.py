"""A detector on a copy of a backbone, as the settings of the protocol want it."""

from typing import TYPE_CHECKING

from torch import nn

from vitbench.api import Backbone, errors
from vitbench_protocols.detection.detector import Detector
from vitbench_protocols.detection.maps import (
    AsTheyAre,
    Fpn,
    SimplePyramid,
    Taps,
    default_layers,
    four_taps,
)

if TYPE_CHECKING:
    from vitbench_protocols.detection import Detection


def build_detector(settings: "Detection", backbone: Backbone, categories: int) -> Detector:
    """Build the detector on a copy of a backbone, the rest with new weights."""
    _check_heads(settings, backbone)
    copy = backbone.dense_copy(rule=settings.positions, heads=settings.heads)
    info, channels = backbone.info, settings.network.channels
    layers = settings.layers or default_layers(info)
    adapter: nn.Module
    neck: nn.Module
    if settings.adapter == "simple-pyramid":
        layers, adapter = layers[-1:], AsTheyAre()
        last = info.stage(layers[0])
        neck = SimplePyramid(last.width, last.stride, channels)
    else:
        adapter = four_taps(backbone, layers)
        neck = Fpn([info.stage(layer).width for layer in layers], channels)
    taps = Taps(copy, layers, adapter, frozen=settings.freeze, drop_path=settings.drop_path)
    return Detector(taps, neck, settings.network, categories)


def _check_heads(settings: "Detection", backbone: Backbone) -> None:
    info = backbone.info
    if settings.heads and settings.heads_width not in (0, info.embed_dim):
        raise errors.SettingError(
            [
                f"{settings.heads} heads are meant for a ViT of width {settings.heads_width}, but "
                f"{info.arch} is {info.embed_dim} wide and has {info.heads}"
            ],
            hint="--preset correct-heads; with --heads beside it, if other heads are wanted",
        )
