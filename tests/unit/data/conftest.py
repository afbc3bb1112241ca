from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Photo = Callable[[int, int, int], NDArray[np.uint8]]


@pytest.fixture
def photo() -> Photo:
    """Make real-looking images: power falling with frequency, correlated colors, hard edges."""

    def make(height: int, width: int, seed: int) -> NDArray[np.uint8]:
        generator = np.random.Generator(np.random.PCG64(seed))
        rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
        falloff = 1 / np.maximum(np.hypot(rows, columns), 1 / max(height, width))
        noise = generator.standard_normal((4, height, width))
        planes = np.fft.ifft2(np.fft.fft2(noise) * falloff).real
        planes /= planes.std(axis=(1, 2), keepdims=True)
        image = planes[:1] + 0.5 * planes[1:]  # (3, H, W) light that the colors share
        top, left = generator.integers(height), generator.integers(width)
        image[:, top:, left:] = generator.standard_normal((3, 1, 1)) - 0.3 * image[:, top:, left:]
        return np.clip(image.transpose(1, 2, 0) * 55 + 115, 0, 255).astype(np.uint8)

    return make
