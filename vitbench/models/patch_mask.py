"""Patches that a backbone does not see in training: replaced by a token, or left out."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class PatchMask:
    """Which patches of each image are hidden, and what stands in their place.

    With a token, it replaces what is embedded of a hidden patch, before positions are added (as in
    iBOT and SimMIM). Without one, hidden patches are left out of the pass (as in MAE): every image
    hides equally many, and the features in their places are 0.
    """

    hidden: Tensor  # (B, h, w), True where a patch is hidden
    token: Tensor | None = None  # (D,)

    def replace(self, patches: Tensor) -> Tensor:
        """Put the token into the places of hidden patches, (B, N, D)."""
        if self.token is None:
            return patches
        return torch.where(self.hidden.flatten(1)[..., None], self.token.to(patches), patches)

    def leave_out(self, patches: Tensor) -> Tensor:
        """Return the visible patches alone, (B, N, D) to (B, V, D); all of them with a token."""
        if self.token is not None:
            return patches
        return patches.gather(1, self._places(patches.shape[-1]))

    def put_back(self, patches: Tensor) -> Tensor:
        """Return what `leave_out` left in its places, (B, V, D) to (B, N, D), 0 elsewhere."""
        if self.token is not None:
            return patches
        B, _, D = patches.shape
        whole = patches.new_zeros(B, self.hidden[0].numel(), D)
        return whole.scatter(1, self._places(D), patches)

    def _places(self, width: int) -> Tensor:
        """Return the places of the visible patches, in their order, (B, V, width)."""
        hidden = self.hidden.flatten(1)
        visible = hidden.shape[1] - int(hidden[0].sum())
        order = hidden.to(torch.uint8).argsort(dim=1, stable=True)[:, :visible]
        return order[..., None].expand(-1, -1, width)
