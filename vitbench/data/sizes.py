"""Sizes of images and how they are reached; OpenCV's interpolation, as the published numbers."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # (H, W, 3) RGB
Size = tuple[int, int]  # height, width
IndexT = TypeVar("IndexT", bound=np.generic)


def fitted(size: Size, *, short: float, long: float) -> Size:
    """Return the size with the same shape whose sides reach one of the two limits, in pixels.

    Source:
        mmcv 1.x, imrescale: the factor is the smaller of both, the sides are rounded half up.

    Example:
        >>> fitted((512, 683), short=256, long=2048)
        (256, 342)
    """
    factor = min(long / max(size), short / min(size))
    height, width = (max(1, int(side * factor + 0.5)) for side in size)
    return height, width


def resize_image(image: Pixels, size: Size) -> Pixels:
    """Resize an image bilinearly, without antialiasing."""
    return _resize(image, size, "INTER_LINEAR")  # type: ignore[no-any-return]


def resize_indices(indices: NDArray[IndexT], size: Size) -> NDArray[IndexT]:
    """Resize labels or masks, each pixel taking its nearest."""
    return _resize(indices, size, "INTER_NEAREST")  # type: ignore[no-any-return]


def _resize(array: Any, size: Size, how: str) -> Any:
    import cv2

    if array.shape[:2] == size:
        return array
    return cv2.resize(array, size[::-1], interpolation=getattr(cv2, how))
