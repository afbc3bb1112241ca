"""Layers of our networks: PyTorch's, with the same digits and less work where nothing learns."""

import torch
from timm.layers.activations import GELUTanh
from timm.layers.mlp import Mlp
from torch import Tensor, nn
from torch.nn import functional

Weights = tuple[Tensor, Tensor | None]  # weight and bias


class Linear(nn.Linear):
    """A linear layer.

    Under autocast, frozen weights are kept in its type: PyTorch casts them again in every pass. The
    numbers are equal.
    """

    keeps_derived = True  # casts of frozen weights; not of those that are put together at times
    lent: Weights | None = None  # to read instead of its own
    _kept: tuple[object, Weights, Weights] | None = None  # state of the weights, they, their casts

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., n) to (..., m)."""
        return functional.linear(x, *(self.lent or self._frozen(x) or (self.weight, self.bias)))

    def _frozen(self, x: Tensor) -> Weights | None:
        """Return the weights in autocast's type, or None where they may change or need no cast."""
        weight, bias, device = self.weight, self.bias, x.device.type
        if (
            not self.keeps_derived
            or torch.compiler.is_compiling()
            or weight.requires_grad
            or weight.is_inference()  # can't tell whether it was changed
            or not torch.is_autocast_enabled(device)
            or (dtype := torch.get_autocast_dtype(device)) == weight.dtype
        ):
            return None
        parts = [weight] if bias is None else [weight, bias]
        state = (dtype, *((part.data_ptr(), part._version) for part in parts))
        if self._kept is None or self._kept[0] != state:
            with torch.inference_mode(mode=False), torch.no_grad():
                # held, so that no other weights get their address
                own = weight.detach(), None if bias is None else bias.detach()
                cast = weight.to(dtype), None if bias is None else bias.to(dtype)
                self._kept = state, own, cast
        return self._kept[2]


class Gelu(nn.GELU):
    """A GELU whose input nothing else reads; a frozen pass writes over it."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x, of any shape."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return super().forward(x)
        found: Tensor = torch.ops.aten.gelu_(x, approximate=self.approximate)
        return found


def put_layers(module: nn.Module) -> None:
    """Put ours in the place of every `nn.Linear`, and every GELU of an MLP, below a module.

    The module is on the meta device.
    """
    for name, child in list(module.named_children()):
        if type(child) is nn.Linear:
            has_bias = child.bias is not None
            ours = Linear(child.in_features, child.out_features, has_bias, device="meta")
            setattr(module, name, ours)
        elif isinstance(module, Mlp) and type(child) in (nn.GELU, GELUTanh):
            setattr(module, name, Gelu(getattr(child, "approximate", "tanh")))
        else:
            put_layers(child)
