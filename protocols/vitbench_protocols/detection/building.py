"""A detector on a copy of a backbone, as the settings of the protocol want it."""

from typing import TYPE_CHECKING

from torch import nn

from vitbench.api import Backbone, errors
from vitbench.kit import level_strides
from vitbench_protocols.detection.detector import Detector
from vitbench_protocols.detection.maps import (
    AsTheyAre,
    Fpn,
    SimplePyramid,
    Taps,
    check_four,
    default_layers,
    four_levels,
)

if TYPE_CHECKING:
    from vitbench_protocols.detection import Detection


def check_backbone(settings: "Detection", backbone: Backbone) -> None:
    """Refuse, before any work, a backbone that these settings can't train a detector on.

    Raises:
        SettingError: Names the setting.
        MissingAbility: Names what the backbone can't do.
    """
    _check_heads(settings, backbone)
    layers = settings.layers or default_layers(backbone.info)
    if settings.adapter == "four-taps":
        check_four(backbone.info, layers)
    for layer in layers:
        backbone.info.absolute(layer)
    backbone.check_raw()
    backbone.check_all_sizes(learning=not settings.freeze)
    if any(settings.drop_path) and not settings.freeze:
        backbone.check_drop_path()
    if settings.learning.layer_decay != 1 and not settings.freeze:
        backbone.parameter_layers()


def build_detector(settings: "Detection", backbone: Backbone, categories: int) -> Detector:
    """Build the detector on a copy of a backbone, the rest with new weights."""
    copy = backbone.dense_copy(rule=settings.positions, heads=settings.heads)
    info, channels = backbone.info, settings.network.channels
    layers = settings.layers or default_layers(info)
    adapter: nn.Module
    neck: nn.Module
    if settings.adapter == "simple-pyramid":
        layers, adapter = layers[-1:], AsTheyAre()
        last = info.stage(layers[0])
        strides = level_strides([last])
        neck = SimplePyramid(last.width, strides[0], channels)
    else:
        stages = [info.stage(layer) for layer in layers]
        strides, adapter = level_strides(stages), four_levels(stages)
        neck = Fpn([stage.width for stage in stages], channels)
    taps = Taps(
        copy, layers, strides, adapter, frozen=settings.freeze, drop_path=settings.drop_path
    )
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
