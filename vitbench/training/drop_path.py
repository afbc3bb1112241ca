"""Stochastic depth whose draws are keyed by (seed, step, image, crop, layer), not by a process."""

from contextlib import nullcontext, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from vitbench.errors import MissingAbility
from vitbench.keyed_random import keyed_uniform
from vitbench.models.backbone import Backbone
from vitbench.models.residual import DrawnDropPath


class DropPath:
    """The stochastic depth of one backbone.

    Whoever calls the backbone puts the scales of that pass in `scales` first: one row an image,
    one column a residual branch, 0 for a dropped one, else 1 / chance of survival.

    Args:
        backbone: Gets a branch of ours in the place of each of its drop paths.
        last: Rate of the last block; left out: the rates that the backbone was built with.
        first: Rate of the first block, where `last` is given; linear between them.
    """

    def __init__(
        self, backbone: Backbone, *, last: float | None = None, first: float = 0.0
    ) -> None:
        self.scales: Tensor | None = None  # (rows, branches)
        rates: dict[int, float] = {}

        def make(branch: int, rate: float) -> nn.Module:
            if last is not None:
                rate = first + (last - first) * backbone.branch_depth(branch)
            rates[branch] = rate
            if not rate:
                return nn.Identity()
            return DrawnDropPath(lambda: None if self.scales is None else self.scales[:, branch])

        needless = suppress(MissingAbility) if last == first == 0 else nullcontext()
        replaceable: Any = backbone  # a backbone without drop paths fails here, by name
        with needless:
            replaceable.replace_drop_path(make)
        self.keep = 1 - np.array([rates[branch] for branch in sorted(rates)])

    def draw(
        self, *, seed: int, step: int, crops: range, indices: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the scales for a group of crops, crop-major: (len(crops) * B, branches).

        Source:
            Huang et al., Deep Networks with Stochastic Depth, ECCV 2016; facebookresearch/dino,
            vision_transformer.py, drop_path (7c446df).
        """
        drawn = keyed_uniform(
            seed, "drop-path", step, np.array(crops)[:, None], indices, count=len(self.keep)
        )
        rows = len(crops) * len(indices)
        return np.where(drawn < self.keep, 1 / self.keep, 0.0).reshape(rows, len(self.keep))


def without_drop_path(backbone: Backbone) -> None:
    """Let every residual branch of a backbone survive, as the teacher's do."""
    replaceable: Any = backbone
    replaceable.replace_drop_path(lambda _branch, _rate: nn.Identity())
