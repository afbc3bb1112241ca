"""What timm says of a network that it built: its architecture, its layers, its sizes."""

from itertools import groupby
from typing import Any, TypeVar

import torch
from timm import create_model

from vitbench.models.backbone import BackboneInfo, Stage
from vitbench.models.constants import Triple
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_build import create, takes_any, way_to_take

T = TypeVar("T")


def described(network: Any, arch: str) -> TimmArchitecture:
    """Return what builds a network again, from the network as timm built it."""
    _, height, width = network.pretrained_cfg["input_size"]
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in getattr(network, "_model_args", {}).items()
        if name not in ("num_classes", "drop_path_rate", "drop_rate")
    }
    return TimmArchitecture(
        timm_name=arch,
        image_size=(height, width),
        heads=_last(network, "num_heads", int, 0),
        norm_eps=_last(network, "eps", float, 0.0),
        options=tuple(sorted(options.items())),
    )


def classifier_names(architecture: TimmArchitecture) -> set[str]:
    """Return the names of the weights that a network has for the sake of its classes."""
    options: dict[str, Any] = dict(architecture.options)
    with torch.device("meta"):
        network: Any = create_model(architecture.timm_name, **{**options, "num_classes": 1})
        return set(network.state_dict()) - set(create(architecture).state_dict())


def _last(network: Any, fact: str, kind: type[T], default: T) -> T:
    """Return a fact of the last module that has it as a plain number."""
    values = (getattr(module, fact, None) for module in network.modules())
    return ([value for value in values if isinstance(value, kind)] or [default])[-1]


def describe_network(
    architecture: TimmArchitecture,
    network: Any,
    pools: bool,
    prefix: int,
    mean: Triple,
    std: Triple,
) -> BackboneInfo:
    """Return the facts of a network that timm built.

    Args:
        architecture: What was built.
        network: Timm's network.
        pools: Whether it gives a pooled feature of its own.
        prefix: Its class and register tokens.
        mean: Input normalization.
        std: Input normalization.
    """
    told = network.feature_info
    layers = [(one["num_chs"], one["reduction"]) for one in getattr(told, "info", told)]
    stages = tuple(
        Stage(len(list(same)), width, stride) for (width, stride), same in groupby(layers)
    )
    dim, stride = layers[-1]
    height, width = architecture.image_size
    return BackboneInfo(
        arch=architecture.name,
        embed_dim=dim,
        patch_size=stride,
        depth=len(layers),
        heads=architecture.heads,
        grid=(-(-height // stride), -(-width // stride)),
        prefix_tokens=prefix,
        pooled_from="own" if pools else "mean_pool",
        position_rule="own",
        mean=mean,
        std=std,
        stages=stages if len(stages) > 1 else (),
        native_px=architecture.image_size,
        fixed_size=_fixed(architecture, network, stride),
        pooled_dim=network.head_hidden_size if pools else None,
    )


def _fixed(architecture: TimmArchitecture, network: Any, stride: int) -> bool:
    """Whether the native size is the only one, but for exceptions that are checked one by one."""
    if takes_any(network):
        return False
    height, width = architecture.image_size
    return way_to_take(architecture, (height + stride, width + 2 * stride)) == "not at all"
