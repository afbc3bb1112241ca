import torch
from torch import nn
from torch.nn import functional

from vitbench.models.linear import Linear, put_linear_layers


def test_a_layer_reads_the_weights_that_are_lent_to_it() -> None:
    layer, x = Linear(4, 3), torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    own = layer(x)
    assert own.equal(functional.linear(x, layer.weight, layer.bias))
    layer.lent = (torch.ones(3, 4), None)
    torch.testing.assert_close(layer(x), x.sum(dim=1, keepdim=True).expand(2, 3))
    layer.lent = None
    assert layer(x).equal(own)


def test_every_linear_layer_below_a_module_is_replaced() -> None:
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 4, bias=False)))
    put_linear_layers(module)
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    assert [type(layer) for layer in layers] == [Linear, Linear]
    assert layers[1].bias is None
