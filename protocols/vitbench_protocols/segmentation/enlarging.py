"""The class of every pixel from scores of patches, enlarged once, a few rows at a time.

Scores are enlarged from patches to the view, and from the view to the image, each time bilinearly.
Both steps are linear and separable, so that one product for the rows and one for the columns do
them together; scores of the whole image, of all classes, never lie in memory.
"""

import torch
from torch import Tensor
from torch.nn import functional

from vitbench.kit import Size

ROWS = 16  # of the image at once: their scores stay near the processor


def largest_class(scores: Tensor, whole: Size, view: Size, size: Size) -> Tensor:
    """Return the class with the largest score at every pixel, int64 (H, W).

    Args:
        scores: Of patches, (C, h, w) float32.
        whole: Height and width of what the patches cover.
        view: Of its part that is not padding, at the top left.
        size: H and W of the image that the view was resized from.
    """
    rows, columns = (
        _weights(scores, patches, *sides)
        for patches, *sides in zip(scores.shape[1:], whole, view, size, strict=True)
    )
    wide = (scores @ columns.T).transpose(0, 1)  # (h, C, W)
    shape, flat = wide.shape[1:], wide.flatten(1)
    found = [(some @ flat).view(-1, *shape).max(dim=1).indices for some in torch.split(rows, ROWS)]
    return torch.cat(found)


def _weights(like: Tensor, patches: int, whole: int, view: int, side: int) -> Tensor:
    """Return the share of each patch in each pixel along one side, (side, patches)."""
    found = torch.eye(patches, dtype=like.dtype, device=like.device)[None]
    for pixels, kept in ((whole, view), (side, side)):
        if found.shape[-1] != pixels:
            found = functional.interpolate(found, pixels, mode="linear", align_corners=False)
        found = found[..., :kept]
    return found[0].T
