"""Random weights of a backbone, drawn from a generator that the caller owns."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

STD = 0.02


def initialize(module: nn.Module, generator: torch.Generator) -> None:
    """Give every parameter of a module its value, as DINO starts its networks.

    Linear weights and learned tokens: normal of std 0.02 within [-2, 2], biases 0; norms 1 and 0;
    convolutions: uniform within the root of 1 / fan-in; layer scale 1e-5. A module on the meta
    device gets memory on the CPU first.

    Args:
        module: The network; filled in place.
        generator: Where the draws come from, in the order of the module's parameters.

    Source:
        facebookresearch/dino vision_transformer.py (7c446df); convolutions: PyTorch's default.
    """
    if any(parameter.is_meta for parameter in module.parameters()):
        module.to_empty(device="cpu")
    with torch.no_grad():
        for owner in module.modules():
            for name, parameter in owner.named_parameters(recurse=False):
                _fill(owner, name, parameter, generator)


def seeded(make: Callable[..., Any], *shape: Any, seed: int) -> Any:
    """Make a module with weights drawn by a seed, leaving the global generator alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(*shape)


def _fill(owner: nn.Module, name: str, parameter: Tensor, generator: torch.Generator) -> None:
    if isinstance(owner, nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm):
        parameter.fill_(1.0 if name == "weight" else 0.0)
    elif isinstance(owner, nn.modules.conv._ConvNd):
        bound = 1 / math.sqrt(owner.weight[0].numel())
        parameter.uniform_(-bound, bound, generator=generator)
    elif name == "gamma":
        parameter.fill_(1e-5)
    elif name == "bias":
        parameter.zero_()
    else:
        nn.init.trunc_normal_(parameter, std=STD, a=-2.0, b=2.0, generator=generator)
