"""Weights, gradients and optimizer in shares, one a process (FSDP2); states are always whole."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from vitbench import distributed


def shard_parameters(whole: nn.Module, blocks: Iterable[nn.Module]) -> None:
    """Leave to every process its share of a module's parameters.

    A block is put together when it computes; all that is in no block, while the module does.

    Args:
        whole: The module, on its device; its own forward pass has to be called.
        blocks: Parts of it.
    """
    device = next(whole.parameters()).device
    mesh = init_device_mesh(device.type, (distributed.world_size(),))
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(whole, mesh=mesh, reshard_after_forward=False)


def gathered(tree: Any) -> Any:
    """Return a state with whole tensors in the place of shares; every process takes part."""
    if isinstance(tree, DTensor):
        return tree.full_tensor()
    if isinstance(tree, Mapping):
        return {name: gathered(part) for name, part in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(gathered(part) for part in tree)
    return tree


def shared_as(state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return whole tensors in the shares that tensors of the same names are held in."""
    return {name: _shared_as(value, like.get(name)) for name, value in state.items()}


def shared_moments(state: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return an optimizer's whole state in the shares that its parameters are held in."""
    parameters = [part for group in optimizer.param_groups for part in group["params"]]
    moments = {
        number: {name: _shared_as(value, parameters[number]) for name, value in found.items()}
        for number, found in state["state"].items()
    }
    return {**state, "state": moments}


def _shared_as(value: Any, like: Tensor | None) -> Any:
    if isinstance(like, DTensor) and isinstance(value, Tensor) and value.shape == like.shape:
        return distribute_tensor(value, like.device_mesh, like.placements)
    return value
