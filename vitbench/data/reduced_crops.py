"""By how much an image may be reduced before it is cropped, and where its crops lie then.

Crops of reduced images are not those of whole ones. On photographs of COCO (640 x 480), pixels of
DINO's crops of 64 and 32 px, before their colors change, differ by 3 of 255 on average, by 24 or
more in one of a hundred, and by 11 on average in the worst crop. Decoded and augmented are 1.45
times as many images a second; 1.13 times for crops of 96 and 40 px. For crops of 224 and 96 px one
image in 200 is reduced, and nothing gained.
"""

from collections.abc import Sequence

import numpy as np

from vitbench.data.multicrop import Ints

REDUCTIONS = (8, 4, 2)  # that libjpeg decodes at


def largest_reduction(boxes: Ints, sides: Sequence[int]) -> int:
    """Return the largest reduction that leaves every crop as large as it is resized to, or larger.

    So no crop is enlarged that would be shrunk in the whole image.

    Args:
        boxes: Top, left, height and width of each crop of an image, shape (V, 4).
        sides: What height and width of each are resized to, in pixels.

    Example:
        >>> largest_reduction(np.array([[0, 0, 480, 640], [9, 9, 200, 130]]), [224, 64])
        2
    """
    most = (boxes[:, 2:].min(axis=1) / np.asarray(sides)).min()
    return next((by for by in REDUCTIONS if by <= most), 1)


def reduced_boxes(boxes: Ints, reductions: Ints) -> Ints:
    """Return where crops lie in reduced images: edges at the nearest pixel, halves go up.

    An edge moves by half a reduced pixel at most, which is half a pixel of the resized crop or
    less. A crop that is a multiple of the reduction keeps its size exactly.

    Args:
        boxes: Top, left, height and width of each crop in the whole image, shape (B, V, 4).
        reductions: Of each image, shape (B,).
    """
    by = reductions[:, None, None]
    first = (2 * boxes[..., :2] + by) // (2 * by)
    last = (2 * (boxes[..., :2] + boxes[..., 2:]) + by) // (2 * by)
    return np.concatenate([first, last - first], axis=-1)
