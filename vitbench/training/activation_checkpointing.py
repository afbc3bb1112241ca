"""Activation checkpointing: the backward pass computes the activations of each block again."""

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from vitbench.models.backbone import Backbone
from vitbench.training.drop_path import DropPath


def checkpoint_activations(backbone: Backbone, drop_path: DropPath) -> None:
    """Keep only the inputs of a backbone's blocks in memory during the forward pass.

    Args:
        backbone: The network that learns.
        drop_path: Its stochastic depth: a block that is computed again drops what it dropped.

    Raises:
        MissingAbility: Nobody knows the backbone's blocks.
    """
    for block in backbone.repeated_blocks():
        block.forward = _Again(block.forward, drop_path)


class _Again:
    """Forward pass of a block that is repeated in the backward pass."""

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
