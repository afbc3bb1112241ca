"""The outputs of named layers inside a network, in a forward pass."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from vitbench.errors import CheckpointError, UnknownName


def layers_named(network: nn.Module, tokens: Any) -> tuple[str, ...]:
    """Return the names of the network's layers that `tokens` stands for; none if it is a key.

    Raises:
        UnknownName: One of several names is no layer.
    """
    layers = dict(network.named_modules())
    if isinstance(tokens, str):
        return (tokens,) if tokens in layers else ()
    if not isinstance(tokens, tuple | list):
        return ()
    for name in tokens:
        if name not in layers:
            raise UnknownName("layer", str(name), filter(None, layers))
    return tuple(tokens)


def run_layers(network: nn.Module, names: Sequence[str], images: Tensor) -> dict[str, Any]:
    """Run a network and return what some of its layers give, in the order of the names.

    Raises:
        CheckpointError: The forward pass does not use one of them.
    """
    found = _watched(network, names, images)
    if missing := [name for name in names if name not in found]:
        raise CheckpointError(
            f"the layer {missing[0]!r} is not used by the network's forward pass.",
            hint="tokens=LAYER with another layer",
        )
    return {name: found[name] for name in names}


def layers_with_maps(network: nn.Module, images: Tensor) -> list[str]:
    """Return the names of the network's own parts that give tokens or a map, in their order."""
    names = [name for name, _ in network.named_children()]
    return [
        name
        for name, value in _watched(network, names, images).items()
        if isinstance(value, Tensor) and value.ndim in (3, 4) and min(value.shape[2:]) > 1
    ]


def _watched(network: nn.Module, names: Sequence[str], images: Tensor) -> dict[str, Any]:
    """Run a network and return what those layers give that it uses, in the order of their use."""
    found: dict[str, Any] = {}
    handles = [
        network.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: found.__setitem__(name, output)
        )
        for name in names
    ]
    try:
        network(images)
    finally:
        for handle in handles:
            handle.remove()
    return found
