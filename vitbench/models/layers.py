"""Layers of our networks: PyTorch's, with the same digits and less work where nothing learns."""

import platform
from functools import cache
from typing import TypeGuard

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
        return linear(x, *(self.lent or self._frozen(x) or (self.weight, self.bias)))

    def _frozen(self, x: Tensor) -> Weights | None:
        """Return the weights in autocast's type, or None where they may change or need no cast."""
        weight, bias, device = self.weight, self.bias, x.device.type
        if (
            not self.keeps_derived
            or torch.compiler.is_compiling()
            or weight.requires_grad
            or (bias is not None and bias.requires_grad)
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


class PatchConv(nn.Conv2d):
    """A convolution of patches that do not overlap.

    Learning under autocast on a CPU, it is a product of patches and weights: the sums of the
    convolution in another order. oneDNN takes ten times as long for the convolution's gradients.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to (B, D, H // rows, W // columns)."""
        learns = torch.is_grad_enabled() and self.weight.requires_grad
        autocast = x.device.type == "cpu" and torch.is_autocast_enabled("cpu")
        if not (learns and autocast) or torch.compiler.is_compiling():
            return super().forward(x)
        rows, columns = self.kernel_size
        B, C, H, W = x.shape
        x = x[:, :, : H - H % rows, : W - W % columns]
        patches = x.reshape(B, C, H // rows, rows, W // columns, columns).permute(0, 2, 4, 1, 3, 5)
        made = functional.linear(patches.flatten(3), self.weight.flatten(1), self.bias)
        return made.permute(0, 3, 1, 2)

    @staticmethod
    def stands_for(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
        """Whether a layer is such a convolution."""
        return (
            type(layer) is nn.Conv2d
            and layer.kernel_size == layer.stride != (1, 1)
            and (layer.padding, layer.dilation, layer.groups) == ((0, 0), (1, 1), 1)
        )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return `functional.linear`, with the same digits.

    Where nothing learns in bfloat16 on a CPU, oneDNN adds the bias while it multiplies. PyTorch
    writes it over the whole result first: a quarter more time for layers of a ViT.
    """
    bfloat16 = weight.dtype == torch.bfloat16 and x.device.type == "cpu"
    learns = torch.is_grad_enabled() and any(
        part is not None and part.requires_grad for part in (x, weight, bias)
    )
    if not bfloat16 or learns or torch.compiler.is_compiling() or not _multiplies_bfloat16():
        return functional.linear(x, weight, bias)
    if torch.is_autocast_enabled("cpu"):
        x = x.to(torch.get_autocast_dtype("cpu"))
    if x.dtype != weight.dtype:
        return functional.linear(x, weight, bias)
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


@cache
def _multiplies_bfloat16() -> bool:
    """Whether oneDNN is there and has products for bfloat16 on this processor."""
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not there or platform.machine() not in ("x86_64", "AMD64"):
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def put_layers(module: nn.Module) -> None:
    """Put ours in the place of linear layers, convolutions of patches, and GELUs of an MLP.

    The module is on the meta device.
    """
    for name, child in list(module.named_children()):
        if type(child) is nn.Linear:
            has_bias = child.bias is not None
            ours = Linear(child.in_features, child.out_features, has_bias, device="meta")
            setattr(module, name, ours)
        elif PatchConv.stands_for(child):
            rows, columns = child.kernel_size
            sizes = (child.in_channels, child.out_channels, (rows, columns), (rows, columns))
            conv = PatchConv(*sizes, bias=child.bias is not None, device="meta")
            setattr(module, name, conv)
        elif isinstance(module, Mlp) and type(child) in (nn.GELU, GELUTanh):
            setattr(module, name, Gelu(getattr(child, "approximate", "tanh")))
        else:
            put_layers(child)
