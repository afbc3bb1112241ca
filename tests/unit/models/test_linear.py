import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vitbench.models.linear import Linear, linear, put_linear_layers


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rows", [(5,), (2, 7), (2, 3, 4)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_value_and_gradients_equal_pytorchs(rows: tuple[int, ...], with_bias: bool) -> None:
    x, weight = drawn(*rows, 12, seed=0), drawn(9, 12, seed=1)
    bias = drawn(9, seed=2) if with_bias else None
    toward = drawn(*rows, 9, seed=3)
    parts = [part for part in (x, weight, bias) if part is not None]
    found = []
    for compute in (linear, functional.linear):
        leaves = [part.clone().requires_grad_() for part in parts]
        out = compute(*leaves)
        found.append([out.detach(), *torch.autograd.grad(out, leaves, toward)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_frozen_weight_gets_no_gradient() -> None:
    layer = Linear(4, 3)
    layer.weight.requires_grad_(False)
    x = drawn(2, 4, seed=0).requires_grad_()
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert x.grad is not None


def test_no_rows_are_no_error() -> None:
    assert Linear(4, 3)(torch.zeros(0, 4)).shape == (0, 3)


def test_autocast_is_obeyed() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert Linear(4, 3)(torch.zeros(2, 4)).dtype == torch.bfloat16


def test_double_precision_takes_pytorchs_way() -> None:
    layer = Linear(4, 3).double()
    assert torch.autograd.gradcheck(layer, drawn(2, 4, seed=0).double().requires_grad_())


def test_every_linear_layer_below_a_module_is_replaced() -> None:
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 4, bias=False)))
    put_linear_layers(module)
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    assert [type(layer) for layer in layers] == [Linear, Linear]
    assert layers[1].bias is None
