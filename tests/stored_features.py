"""Branches of features that are known already, for tests of objectives alone."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from torch import Tensor, nn

from vitbench.models.backbone import Backbone, Features
from vitbench.models.patch_mask import PatchMask
from vitbench.objectives.crop_features import CropFeatures
from vitbench.objectives.objective import Branch


class StoredFeatures(CropFeatures):
    """Features that nobody has to compute.

    Args:
        stored: Those of each group of crops.
        groups: How many crops each group holds.
    """

    def __init__(self, stored: Sequence[Features], groups: Sequence[int]) -> None:
        self.backbone = cast("Backbone", nn.Identity())
        self.groups, self._stored = tuple(groups), stored
        self.indices = np.arange(len(stored[0].pooled) // groups[0])

    def features(self, group: int, mask: PatchMask | None = None) -> Features:
        """See `CropFeatures.features`."""
        return self._stored[group]


def stored_branch(
    stored: Sequence[Features], groups: Sequence[int], head: nn.Module | None = None
) -> Branch:
    """Return one side whose features are stored, with a head that changes nothing."""
    return Branch(StoredFeatures(stored, groups), head or nn.Identity())


def stored_vectors(parts: Sequence[Tensor], groups: Sequence[int]) -> Branch:
    """Return one side of which the image-level features alone are known."""
    return stored_branch([Features(part, part) for part in parts], groups)
