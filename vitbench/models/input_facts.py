"""The normalization and native size of a network's input: told by the user or the network."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from vitbench.errors import SettingError, UnknownName
from vitbench.models.constants import IMAGENET_MEAN, IMAGENET_STD, Triple

NORMALIZATIONS: Mapping[str, tuple[Triple, Triple]] = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
USUAL_PX = 224  # native size of a network that does not say its own


def read_normalization(told: Any, module: nn.Module) -> tuple[Triple, Triple, str]:
    """Return mean and standard deviation of the input, for RGB in [0, 1], and who says so.

    Raises:
        UnknownName: There is no such normalization.
        SettingError: It is no pair of three numbers each, or they are out of range.
    """
    if told is None:
        own = _pair(getattr(module, "pretrained_cfg", None))
        return (*own, "network") if own else (IMAGENET_MEAN, IMAGENET_STD, "ImageNet default")
    if isinstance(told, str):
        if told not in NORMALIZATIONS:
            raise UnknownName(
                "normalization", told, NORMALIZATIONS, hint="a pair (mean, std) for RGB in [0, 1]"
            )
        return (*NORMALIZATIONS[told], "flag")
    pair = _pair(told)
    if pair is None or not _in_range(*pair):
        raise SettingError(
            ["normalization is no pair (mean, std) for RGB in [0, 1]"],
            expected="three numbers each: a mean from 0 to 1, a deviation above 0 and at most 1",
            found=repr(told),
            hint="values of RGB in 0 to 255, divided by 255",
        )
    return (*pair, "flag")


def _in_range(mean: Triple, std: Triple) -> bool:
    return all(0 <= value <= 1 for value in mean) and all(0 < value <= 1 for value in std)


def _pair(told: Any) -> tuple[Triple, Triple] | None:
    """Read mean and standard deviation from a pair, a mapping, or an object that has them."""
    if isinstance(told, Mapping):
        told = told.get("mean"), told.get("std")
    elif hasattr(told, "mean") and hasattr(told, "std"):
        told = told.mean, told.std
    try:
        (r, g, b), (x, y, z) = told
        return (float(r), float(g), float(b)), (float(x), float(y), float(z))
    except (TypeError, ValueError):
        return None


def native_size(module: nn.Module, told: int | tuple[int, int] | None) -> tuple[int, int]:
    """Return (H, W): what was told, else what the network says, else the usual size."""
    config = getattr(module, "pretrained_cfg", None)
    size: Any = told
    if size is None and isinstance(config, Mapping) and config.get("input_size"):
        size = tuple(config["input_size"][1:])
    for owner in (module, getattr(module, "config", None)):
        if size is None:
            size = getattr(owner, "image_size", None)
    if isinstance(size, int) and size > 0:
        return size, size
    if isinstance(size, tuple | list) and len(size) == 2 and all(side > 0 for side in size):
        return int(size[0]), int(size[1])
    if told is not None:
        raise SettingError([f"image_size is {told!r}, expected a side in pixels or (H, W)"])
    return USUAL_PX, USUAL_PX
