"""Masks of boxes, drawn into the image."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

PIXELS = 1 << 25  # that are drawn at once on a GPU; on a CPU one mask after another is faster


def paste(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Draw masks into an image by interpolation at the center of each pixel.

    torchvision widens the box to whole pixels first.

    Args:
        masks: Probabilities (R, M, M).
        boxes: (R, 4) in px of the image.
        size: Height and width of the image.

    Returns:
        (R, H, W), true where the probability is at least one half.

    Source:
        mmdetection 2.x, FCNMaskHead.get_seg_masks, _do_paste_mask.
    """
    drawn = torch.zeros((len(masks), *size), dtype=torch.bool, device=masks.device)
    places, step = boxes.tolist(), at_once(masks.device, size)
    for first in range(0, len(masks), step):
        part = slice(first, first + step)
        columns, rows = (_span(places[part], axis, size[1 - axis]) for axis in (0, 1))
        across, down = (
            _places(span, boxes[part, axis], boxes[part, axis + 2])
            for axis, span in ((0, columns), (1, rows))
        )
        shape = (len(across), len(rows), len(columns))
        if 0 in shape:
            continue
        grid = torch.stack([across[:, None].expand(shape), down[:, :, None].expand(shape)], dim=3)
        found = functional.grid_sample(masks[part, None], grid, align_corners=False)
        window = (part, slice(rows.start, rows.stop), slice(columns.start, columns.stop))
        drawn[window] = found[:, 0] >= 0.5
    return drawn


def at_once(device: torch.device, size: tuple[int, int]) -> int:
    """Return how many masks are drawn at once into an image of a size."""
    return max(1, PIXELS // (size[0] * size[1])) if device.type == "cuda" else 1


def _span(boxes: Sequence[Sequence[float]], axis: int, side: int) -> range:
    """Return the columns (axis 0) or rows that some boxes reach."""
    first = min(min(max(int(box[axis]) - 1, 0), side) for box in boxes)
    last = max(min(int(box[axis + 2]) + 2, side) for box in boxes)
    return range(first, max(first, last))


def _places(span: range, low: Tensor, high: Tensor) -> Tensor:
    """Return where the middles of pixels lie in each box, (R, pixels): -1 and 1 are its borders."""
    middles = torch.arange(span.start, span.stop, device=low.device) + 0.5
    return (middles - low[:, None]) / (high - low)[:, None] * 2 - 1
