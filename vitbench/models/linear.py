"""The linear layer of our networks: PyTorch's, which may read weights that are lent to it."""

from torch import Tensor, nn
from torch.nn import functional


class Linear(nn.Linear):
    """A linear layer."""

    lent: tuple[Tensor, Tensor | None] | None = None  # weight and bias to read instead of its own

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., n) to (..., m)."""
        return functional.linear(x, *(self.lent or (self.weight, self.bias)))


def put_linear_layers(module: nn.Module) -> None:
    """Put ours in the place of every `nn.Linear` below a module on the meta device."""
    for name, child in list(module.named_children()):
        if type(child) is nn.Linear:
            has_bias = child.bias is not None
            ours = Linear(child.in_features, child.out_features, has_bias, device="meta")
            setattr(module, name, ours)
        else:
            put_linear_layers(child)
