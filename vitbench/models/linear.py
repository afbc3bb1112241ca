"""The linear layer of our networks: PyTorch's, which casts frozen weights only once."""

import torch
from torch import Tensor, nn
from torch.nn import functional

Weights = tuple[Tensor, Tensor | None]  # weight and bias


class Linear(nn.Linear):
    """A linear layer.

    Under autocast, frozen weights are kept in its type: PyTorch casts them again in every pass. The
    numbers are equal.
    """

    lent: Weights | None = None  # to read instead of its own
    _kept: tuple[object, Weights, Weights] | None = None  # state of the weights, they, their casts

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., n) to (..., m)."""
        return functional.linear(x, *(self.lent or self._frozen(x) or (self.weight, self.bias)))

    def _frozen(self, x: Tensor) -> Weights | None:
        """Return the weights in autocast's type, or None where they may change or need no cast."""
        weight, bias, device = self.weight, self.bias, x.device.type
        if (
            torch.compiler.is_compiling()
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


def put_linear_layers(module: nn.Module) -> None:
    """Put ours in the place of every `nn.Linear` below a module on the meta device."""
    for name, child in list(module.named_children()):
        if type(child) is nn.Linear:
            has_bias = child.bias is not None
            ours = Linear(child.in_features, child.out_features, has_bias, device="meta")
            setattr(module, name, ours)
        else:
            put_linear_layers(child)
