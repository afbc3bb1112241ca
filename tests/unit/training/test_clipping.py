from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from vitbench.training.clipping import ROW, clip_each, clip_together

Clip = Callable[[list[nn.Parameter], float], None]


def trained() -> list[nn.Parameter]:
    """Return parameters with small, large and no gradients, most of no even size."""
    random = torch.Generator().manual_seed(0)
    shapes = ((3, 5), (ROW,), (), (7, ROW), (2,))
    found = [nn.Parameter(torch.zeros(shape)) for shape in shapes]
    for number, each in enumerate(found[:-1]):
        each.grad = torch.randn(each.shape, generator=random) * 10.0 ** (number - 1)
    return found


def gradients(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [each.grad.clone() for each in parameters if each.grad is not None]


def test_each_gradient_is_clipped_by_its_own_norm() -> None:
    parameters = trained()
    before = gradients(parameters)
    clip_each(parameters, 3.0)
    for found, old in zip(gradients(parameters), before, strict=True):
        factor = min(1.0, 3.0 / (old.norm().item() + 1e-6))
        torch.testing.assert_close(found, old * factor)
    assert parameters[-1].grad is None


def test_all_gradients_together_are_clipped_by_their_common_norm() -> None:
    parameters = trained()
    before = gradients(parameters)
    clip_together(parameters, 3.0)
    found = gradients(parameters)
    whole = torch.cat([each.flatten() for each in before]).norm().item()
    torch.testing.assert_close(found, [each * 3.0 / whole for each in before])


@pytest.mark.parametrize("clip", [clip_each, clip_together])
def test_nothing_to_clip_is_no_error(clip: Clip) -> None:
    clip([nn.Parameter(torch.zeros(2))], 3.0)


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[DeviceMesh]:
    """Return a mesh of this process alone."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


@pytest.mark.parametrize("clip", [clip_each, clip_together])
def test_gradients_in_shares_are_clipped_as_whole_ones(clip: Clip, mesh: DeviceMesh) -> None:
    whole = [each for each in trained() if each.ndim]
    shared = [nn.Parameter(distribute_tensor(each.data, mesh, [Shard(0)])) for each in whole]
    for one, other in zip(whole, shared, strict=True):
        if one.grad is not None:
            other.grad = distribute_tensor(one.grad, mesh, [Shard(0)])
    clip(whole, 3.0)
    clip(shared, 3.0)
    for one, other in zip(whole, shared, strict=True):
        if one.grad is not None:
            assert isinstance(other.grad, DTensor)
            torch.testing.assert_close(other.grad.full_tensor(), one.grad)
