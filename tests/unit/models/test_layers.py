from typing import Any

import pytest
import torch
from timm.layers.activations import GELUTanh
from timm.layers.mlp import Mlp
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from vitbench.models.layers import Gelu, Linear, PatchConv, linear, put_layers
from vitbench.models.residual import add_branch


def test_a_layer_reads_the_weights_that_are_lent_to_it() -> None:
    layer, x = Linear(4, 3), torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    own = layer(x)
    assert own.equal(functional.linear(x, layer.weight, layer.bias))
    layer.lent = (torch.ones(3, 4), None)
    torch.testing.assert_close(layer(x), x.sum(dim=1, keepdim=True).expand(2, 3))
    layer.lent = None
    assert layer(x).equal(own)


def _casts(layer: Linear, x: torch.Tensor) -> int:
    """Return how often a pass under autocast casts something of the weight's size."""
    with torch.autocast("cpu", torch.bfloat16), Copies() as copies:
        layer(x)
    shapes: list[torch.Size] = copies.of
    return shapes.count(layer.weight.shape)


class Copies(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the shapes of what is cast."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.of: list[torch.Size] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._to_copy.default:
            self.of.append(args[0].shape)
        return func(*args, **(kwargs or {}))


def test_frozen_weights_are_cast_once_and_again_when_they_change() -> None:
    layer = Linear(4, 3).requires_grad_(False)
    x = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    assert [_casts(layer, x) for _ in range(3)] == [1, 0, 0]
    layer.weight.mul_(2)
    assert [_casts(layer, x) for _ in range(2)] == [1, 0]
    layer.weight.data = layer.weight.data.clone()
    assert [_casts(layer, x) for _ in range(2)] == [1, 0]
    layer.requires_grad_(True)
    assert [_casts(layer, x) for _ in range(2)] == [1, 1]


@pytest.mark.parametrize("bias", [True, False])
def test_kept_casts_give_autocasts_numbers(bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = Linear(64, 32, bias).requires_grad_(False)
    x = torch.randn(8, 64, generator=generator)
    for _ in range(2):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            assert layer(x).equal(functional.linear(x, layer.weight, layer.bias))
        assert layer(x).equal(functional.linear(x, layer.weight, layer.bias))  # fp32 again
        layer.weight.copy_(torch.randn(32, 64, generator=generator))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(192,), (0, 192), (1, 192), (2, 197, 192), (1, 3, 50, 192)])
def test_a_bfloat16_product_that_learns_nothing_has_the_same_digits(
    shape: tuple[int, ...], bias: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator)
    weight = torch.randn(64, 192, generator=generator).bfloat16()
    added = torch.randn(64, generator=generator).bfloat16() if bias else None
    expected = functional.linear(x.bfloat16(), weight, added)
    with torch.inference_mode():
        assert linear(x.bfloat16(), weight, added).equal(expected)
        with torch.autocast("cpu", torch.bfloat16):
            assert linear(x, weight, added).equal(expected)
        with pytest.raises(RuntimeError, match="same dtype"):
            linear(x, weight, added)


def test_gradients_pass_through_a_frozen_layer_and_reach_a_bias_that_learns() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 64, generator=generator).requires_grad_()
    layer = Linear(64, 32).requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x).sum().backward()
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand(8, 64), rtol=0.02, atol=0.02)
    layer.bias.requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x.detach()).sum().backward()
    assert layer.bias.grad is not None
    assert layer.bias.grad.equal(torch.full((32,), 8.0))


def test_every_linear_layer_below_a_module_is_replaced() -> None:
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 4, bias=False)))
    put_layers(module)
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    assert [type(layer) for layer in layers] == [Linear, Linear]
    assert layers[1].bias is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_a_frozen_gelu_writes_over_its_input_and_gives_the_same_digits(
    approximate: str, dtype: torch.dtype
) -> None:
    x = torch.randn(3, 1001, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = functional.gelu(x, approximate=approximate)
    kept = x.clone()
    assert Gelu(approximate)(kept).equal(expected)
    assert kept.equal(x)
    with torch.inference_mode():
        found = Gelu(approximate)(kept)
    assert found.equal(expected)
    assert found.data_ptr() == kept.data_ptr()


@pytest.mark.parametrize(("act", "approximate"), [(nn.GELU, "none"), (GELUTanh, "tanh")])
def test_gelus_of_mlps_are_replaced_and_no_others(act: type[nn.Module], approximate: str) -> None:
    network = nn.Sequential(act(), Mlp(4, act_layer=act))
    put_layers(network)
    assert type(network[0]) is act
    assert type(ours := network[1].act) is Gelu
    assert ours.approximate == approximate


def test_a_frozen_branch_takes_the_sum_and_gives_the_same_digits() -> None:
    x, branch = torch.randn(2, 4, 1001, generator=torch.Generator().manual_seed(0)).unbind()
    expected = x + branch
    kept = branch.clone()
    assert add_branch(x, kept, nn.Identity()).equal(expected)
    assert kept.equal(branch)
    with torch.inference_mode():
        found = add_branch(x, kept, nn.Identity())
        wider = add_branch(x, low := branch.bfloat16(), nn.Identity())
    assert found.equal(expected)
    assert found.data_ptr() == kept.data_ptr()
    assert wider.equal(x + low)
    assert wider.dtype == x.dtype


def test_a_convolution_of_patches_learns_as_a_product_with_the_same_numbers() -> None:
    generator = torch.Generator().manual_seed(0)
    ours = PatchConv(3, 8, (4, 2), (4, 2))
    x = torch.randn(2, 3, 18, 13, generator=generator)
    gradients = []
    for low in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            made = ours(x)
        assert made.shape == (2, 8, 4, 6)
        assert made.dtype == (torch.bfloat16 if low else torch.float32)
        gradients.append(torch.autograd.grad(made.float().square().sum(), list(ours.parameters())))
    for exact, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, exact, rtol=0.02, atol=0.02 * exact.abs().max().item())


def test_only_convolutions_of_patches_are_replaced() -> None:
    with torch.device("meta"):
        module = nn.Sequential(
            nn.Conv2d(3, 8, 4, 4, bias=False),
            nn.Conv2d(8, 8, 3, 2),
            nn.Conv2d(8, 8, 1),
            nn.Conv2d(8, 8, 2, 2, groups=2),
            nn.Conv2d(8, 8, 2, 2, padding=1),
        )
    put_layers(module)
    assert [type(child) is PatchConv for child in module] == [True, *[False] * 4]
    assert module[0].bias is None
