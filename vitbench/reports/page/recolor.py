"""Colors of principal components, made comparable from run to run."""

import base64
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vitbench.reports.page.pictures import Image, encode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vitbench.reports.page.shots import Picture

SIDE = 28  # cells in each direction by which pictures are matched


def align_colors(row: Sequence["Picture | None"]) -> "list[Picture | None]":
    """Turn the colors of the later pictures of a row so that they match the first one's best.

    The colors are coordinates along three components, whose order and signs differ from run to
    run. The rotation that brings one picture's nearest to the other's is an orthogonal Procrustes
    problem (Schönemann, Psychometrika 1966); distances between colors within a picture stay.
    """
    found: list[Picture | None] = list(row)
    there = [place for place, picture in enumerate(row) if picture and picture.image]
    for place in there[1:]:
        first, picture = row[there[0]], row[place]
        if first and picture and first.image and picture.image:
            found[place] = replace(picture, image=_aligned(picture.image, first.image))
    return found


def _aligned(image: Image, like: Image) -> Image:
    import numpy as np

    pixels, target = _pixels(image), _pixels(like)
    a, b = _cells(pixels), _cells(target)
    u, _, vt = np.linalg.svd((a - a.mean(axis=0)).T @ (b - b.mean(axis=0)))
    turned = (pixels - a.mean(axis=0)) @ (u @ vt)
    low, high = np.percentile(turned.reshape(-1, 3), [1, 99], axis=0)
    scaled = np.clip((turned - low) / np.maximum(high - low, 1e-9), 0, 1)
    return encode((255 * scaled).round().astype(np.uint8))


def _pixels(image: Image) -> "NDArray[np.float64]":
    import numpy as np
    from PIL import Image as Pillow

    content = base64.b64decode(image.address.partition(",")[2])
    with Pillow.open(io.BytesIO(content)) as opened:
        return np.asarray(opened.convert("RGB"), dtype=np.float64)


def _cells(pixels: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Take the colors of a coarse grid, (SIDE * SIDE, 3)."""
    import numpy as np

    rows, columns = (
        ((np.arange(SIDE) + 0.5) * side / SIDE).astype(int) for side in pixels.shape[:2]
    )
    found: NDArray[np.float64] = pixels[rows][:, columns].reshape(-1, 3)
    return found
