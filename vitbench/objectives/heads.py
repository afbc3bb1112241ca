"""Projection heads: what stands between a backbone's features and an objective's logits."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitbench.models.layers import Linear
from vitbench.objectives.batch_norm import BatchNorm
from vitbench.objectives.precision import at_least_single


class ProjectionHead(nn.Module):
    """DINO's head: three linear layers, a unit sphere, and a weight-normalized last layer.

    Args:
        embed_dim: D of the features that come in.
        prototypes: K of the logits that go out.
        hidden_dim: Width of the two hidden layers.
        bottleneck_dim: Width of the sphere.
        normalize_last_layer: Keep the prototypes' lengths at 1 (their gain gets no gradient).
        batch_norm: Put a BatchNorm1d behind each hidden linear layer.

    Source:
        Caron et al., DINO, ICCV 2021, appendix C; facebookresearch/dino,
        vision_transformer.py, DINOHead (7c446df).
    """

    def __init__(
        self,
        embed_dim: int,
        prototypes: int,
        *,
        hidden_dim: int = 2048,
        bottleneck_dim: int = 256,
        normalize_last_layer: bool = True,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (embed_dim, hidden_dim):
            norm = [BatchNorm(hidden_dim)] if batch_norm else []
            layers += [_linear(width, hidden_dim), *norm, nn.GELU()]
        self.mlp = nn.Sequential(*layers, _linear(hidden_dim, bottleneck_dim))
        self.last_layer = Prototypes(
            bottleneck_dim, prototypes, gain_grows=not normalize_last_layer
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map features of shape (..., D) to logits of shape (..., K)."""
        return self.last_layer(self.project(features))  # type: ignore[no-any-return]

    def project(self, features: Tensor) -> Tensor:
        """Map features of shape (..., D) to points on the unit sphere, what the last layer sees."""
        return functional.normalize(at_least_single(self.mlp(features)), dim=-1)

    def freeze_last_layer(self) -> None:
        """Drop the last layer's gradients, so that the optimizer leaves it as it is."""
        for parameter in self.last_layer.parameters():
            parameter.grad = None


class Prototypes(nn.Module):
    """A linear layer whose rows are directions (`weight_v`) times gains (`weight_g`)."""

    def __init__(self, width: int, count: int, *, gain_grows: bool) -> None:
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(count, 1), requires_grad=gain_grows)
        self.weight_v = nn.Parameter(nn.Linear(width, count, bias=False).weight.detach())

    def forward(self, points: Tensor) -> Tensor:
        """Map points of shape (..., width) to logits of shape (..., count)."""
        return functional.linear(points, self.rows())

    def rows(self) -> Tensor:
        """Return the prototypes, shape (count, width)."""
        return torch._weight_norm(self.weight_v, self.weight_g, 0)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = Linear(inputs, outputs)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer
