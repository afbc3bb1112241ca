"""Colors of principal components: turned so that they can be compared, and nothing else."""

import base64
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vitbench.reports.page import pictures
from vitbench.reports.page.recolor import align_colors
from vitbench.reports.page.shots import Picture


def picture(pixels: NDArray[np.float64]) -> Picture:
    return Picture("run", pictures.encode(pixels.round().astype(np.uint8)), "pca")


def pixels_of(found: Picture | None) -> NDArray[np.float64]:
    assert found is not None
    assert found.image is not None
    content = base64.b64decode(found.image.address.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=np.float64)


def smooth(seed: int) -> NDArray[np.float64]:
    """Return smooth colors, (56, 56, 3), 0 to 255."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (4, 4, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((56, 56), Image.Resampling.BICUBIC), float)


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 1, 0)])
def test_components_in_another_order_and_with_other_signs_get_the_first_run_s_colors(
    order: tuple[int, int, int],
) -> None:
    first = smooth(0)
    turned = first[..., order].copy()
    turned[..., 0] = 255 - turned[..., 0]
    assert np.abs(turned - first).mean() > 40
    shown = [pixels_of(one) for one in align_colors([picture(first), picture(turned), None])[:2]]
    likeness = np.corrcoef(shown[0].ravel(), shown[1].ravel())[0, 1]
    assert likeness > 0.97


def test_a_row_without_pictures_stays_as_it_is() -> None:
    assert align_colors([None, Picture("run", None, "pca")]) == [None, Picture("run", None, "pca")]
