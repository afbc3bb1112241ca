"""Networks in shards: each process keeps a part of every weight, gradient and running mean.

For networks that do not fit on one device. PyTorch's FSDP2 puts a block's weights together as long
as it computes, and those outside of blocks (embeddings, norms, heads) as long as a step takes. The
teacher is cut as the student is, so its moving average needs no other process.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vitbench import distributed
from vitbench.errors import SettingError

KINDS = ("cpu", "cuda")  # of devices between which PyTorch exchanges tensors


def check_shards(processes: int, kind: str, *, compiled: bool = False) -> None:
    """Refuse to cut networks where nobody could have the other shards.

    Args:
        processes: That train together.
        kind: Of device that they compute on.
        compiled: Whether networks are to be compiled.

    Raises:
        SettingError: One process, a device that exchanges nothing with others, or a compiler.
    """
    if compiled:
        raise SettingError(
            ["--shard and --compile on can't be combined"],
            expected="--compile off or auto: whole networks are compiled",
            found="--compile on",
            hint="--compile off",
        )
    if processes == 1:
        raise SettingError(
            ["--shard cuts a network among processes"],
            expected="several processes",
            found="1 process",
            hint="--processes N, or torchrun; a snapshot of shards is continued without --shard",
        )
    if kind not in KINDS:
        raise SettingError(
            ["--shard cuts a network among devices that exchange tensors"],
            expected=f"a device of the kind {' or '.join(KINDS)}",
            found=kind,
            hint="--device cpu, or without --shard",
        )


def in_shards(loss: nn.Module, blocks: Iterable[nn.Module], device: torch.device) -> nn.Module:
    """Cut the parameters of a loss among all processes; gradients become means over them.

    Args:
        loss: Holds every network that its forward pass uses, on the CPU or the device.
        blocks: Parts of them whose weights are put together one by one.
        device: Where to compute; a block at a time is moved there, then its shard stays.

    Returns:
        The same module; its parameters are other objects now.

    Raises:
        SettingError: A parameter can't be cut.
    """
    for name, parameter in loss.named_parameters():
        if not parameter.ndim or not parameter.is_contiguous():
            raise SettingError(
                [f"--shard: {name} can't be cut among processes"],
                expected="parameters of one dimension or more, contiguous in memory",
                found=f"shape {tuple(parameter.shape)}, strides {parameter.stride()}",
                hint="without --shard",
            )
    # takes seconds to import
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    part: Any
    for part in loss.modules():
        if hasattr(part, "keeps_derived"):
            part.keeps_derived = False  # a whole weight's address and version stay, its values move
    mesh = init_device_mesh(device.type, (distributed.world_size(),))
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(loss, mesh=mesh)
    return loss


def is_sharded(tensor: object) -> bool:
    """Tell whether a tensor is in shards."""
    module = sys.modules.get("torch.distributed.tensor")  # nobody has shards before it is imported
    return module is not None and isinstance(tensor, module.DTensor)


def own_part(tensor: Any) -> Tensor:
    """Return this process's shard of a tensor, sharing its memory; without shards, the tensor."""
    return tensor.to_local() if is_sharded(tensor) else tensor  # type: ignore[no-any-return]


def put_together(tensor: Any) -> Tensor:
    """Return a tensor whole; of shards, on every process, and every process takes part."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[no-any-return]


def with_part(tensor: Any, part: Tensor) -> Tensor:
    """Return a tensor in shards like another one, of which this process has a given shard."""
    if not is_sharded(tensor):
        return part
    kind: Any = type(tensor)
    shards: Tensor = kind.from_local(
        part,
        tensor.device_mesh,
        tensor.placements,
        run_check=False,
        shape=tensor.shape,
        stride=tensor.stride(),
    )
    return shards


def cut_like(tensor: Any, whole: Any) -> Any:
    """Return this process's shard of a whole tensor, cut as another one is cut."""
    if not is_sharded(tensor) or tensor.shape != whole.shape:
        return whole
    from torch.distributed.tensor import distribute_tensor

    where = tensor.device_mesh, tensor.placements
    return distribute_tensor(whole.to(tensor.device), *where, src_data_rank=None)


def norms(gradients: list[Tensor]) -> Tensor:
    """Return the norm of each gradient, (count,); of shards, that of the whole gradient."""
    found = torch.stack(torch._foreach_norm([own_part(each) for each in gradients]))
    if not is_sharded(gradients[0]):
        return found
    return distributed.sum_over_processes(found.square()).sqrt()


def fill(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state of whole tensors into a module, whether it is in shards or not."""
    own = module.state_dict()
    module.load_state_dict({name: cut_like(own.get(name), value) for name, value in state.items()})


def fill_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load a state of whole tensors into an optimizer, whether its parameters are in shards."""
    groups = optimizer.param_groups
    parameters = dict(enumerate(each for group in groups for each in group["params"]))
    kept = {
        number: {
            name: cut_like(parameters.get(number), value) if isinstance(value, Tensor) else value
            for name, value in values.items()
        }
        for number, values in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": kept})
