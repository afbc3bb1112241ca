"""Features of the crops of a batch; each forward pass is made when a loss term asks for it."""

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitbench.models.backbone import Backbone, Features
from vitbench.models.patch_mask import PatchMask

BeforePass = Callable[[range], None]


class CropFeatures:
    """The features of one batch under one backbone; every pass is made once, when it is asked for.

    Crops of one size go through the backbone together and form a group, the global crops one of
    their own; the rows of a group are crop-major (all images of its first crop, then all of the
    second).

    Args:
        backbone: What the crops go through.
        crops: Each of shape (B, 3, S, S), normalized, global crops first.
        global_crops: How many of them are global.
        indices: The numbers of the images, (B,); left out: 0 to B - 1.
        gradient: Whether gradients flow back into the backbone.
        before_pass: Called with the crop numbers just before they go through the backbone.
    """

    def __init__(
        self,
        backbone: Backbone,
        crops: Sequence[Tensor],
        *,
        global_crops: int = 2,
        indices: NDArray[np.int64] | None = None,
        gradient: bool = True,
        before_pass: BeforePass | None = None,
    ) -> None:
        self.backbone, self._crops = backbone, crops
        sizes = [(place < global_crops, crop.shape[-2:]) for place, crop in enumerate(crops)]
        self.groups = tuple(len(list(alike)) for _, alike in groupby(sizes))
        self.indices = np.arange(len(crops[0])) if indices is None else indices
        self._gradient, self._before_pass = gradient, before_pass
        self._passes: dict[tuple[int, PatchMask | None], Features] = {}

    @property
    def device(self) -> torch.device:
        """Where the crops are."""
        return self._crops[0].device

    def numbers(self, group: int) -> range:
        """Return the numbers of the crops of a group."""
        first = sum(self.groups[:group])
        return range(first, first + self.groups[group])

    def images(self, group: int) -> Tensor:
        """Return the crops of a group, (rows, 3, S, S)."""
        return torch.cat([self._crops[number] for number in self.numbers(group)])

    def features(self, group: int, mask: PatchMask | None = None) -> Features:
        """Return the last layer's features of a group's crops; a forward pass for each mask.

        Raises:
            MissingAbility: The backbone can't hide patches.
        """
        key = (group, mask)
        if key not in self._passes:
            if self._before_pass is not None:
                self._before_pass(self.numbers(group))
            with torch.set_grad_enabled(self._gradient and torch.is_grad_enabled()):
                images = self.images(group)
                # a backbone of other code need not know masks
                found = self.backbone(images, mask=mask) if mask else self.backbone(images)
            self._passes[key] = found[0]
        return self._passes[key]
