"""Activation checkpointing: what a block computes is forgotten, and computed again backwards."""

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from vitbench.models.backbone import Backbone
from vitbench.training.drop_path import DropPath


def checkpoint_activations(backbone: Backbone, drop_path: DropPath) -> None:
    """Keep no activations inside the blocks of a backbone while it learns.

    Args:
        backbone: The network that learns.
        drop_path: Its stochastic depth: a block that is computed again drops what it dropped.

    Raises:
        MissingAbility: Nobody knows the backbone's blocks.
    """
    for block in backbone.repeated_blocks():
        block.forward = _Again(block.forward, drop_path)


class _Again:
    """The forward pass of a block, made twice."""

    def __init__(self, forward: Any, drop_path: DropPath) -> None:
        self._forward, self._drop_path = forward, drop_path

    def __call__(self, *inputs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self._forward(*inputs)
        scales = self._drop_path.scales

        def forward(*given: Any) -> Any:
            self._drop_path.scales = scales  # those of this pass, not of the last one
            return self._forward(*given)

        return checkpoint(forward, *inputs, use_reentrant=False)
