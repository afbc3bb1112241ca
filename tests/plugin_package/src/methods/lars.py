"""LARS, an optimizer that vitbench does not have."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vitbench.api import setting
from vitbench.kit import OptimizerConfig

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Lars(OptimizerConfig):
    """SGD with momentum whose rate is scaled for each matrix by its norm over its gradient's.

    Source:
        You et al., Large Batch Training of Convolutional Networks, 2017; facebookresearch/dino,
        utils.py, LARS (7c446df).
    """

    momentum: float = setting(0.9, help="SGD momentum", minimum=0, maximum=1)
    trust: float = setting(0.001, help="share of the norm that a step may move", minimum=0)

    def optimizer(self, groups: "Iterable[dict[str, Any]]") -> "torch.optim.Optimizer":
        """See `OptimizerConfig.optimizer`."""
        from methods.lars_steps import LarsSteps  # imports torch

        return LarsSteps(groups, momentum=self.momentum, trust=self.trust)
