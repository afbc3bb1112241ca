from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vitbench.kit import statistic
from vitbench_protocols.detection.ap_by_image import Items, ap_by_image

PER_DETECTION = ("image", "category", "score", "matched", "ignored")


def items(images: int, categories: int, detections: int) -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng(0)
    truths = generator.integers(0, 3, (images, categories)) * (
        generator.random((images, categories)) < 0.4
    )
    truths[0] = 0
    image = generator.integers(0, images, detections)
    category = generator.integers(0, categories, detections)
    matched = np.zeros((detections, 10), bool)
    left = np.repeat(truths[..., None], 10, axis=2)
    for row, place in enumerate(zip(image, category, strict=True)):
        matched[row] = (generator.random(10) < 0.5) & (left[place] > 0)
        left[place] -= matched[row]
    return {
        "box_image": image,
        "box_category": category,
        "box_score": generator.integers(0, 20, detections) / 20,  # many are equal
        "box_matched": matched,
        "box_ignored": generator.random((detections, 10)) < 0.2,
        "box_truths": truths,
    }


def alone(every: Items, image: int) -> float:
    """Form AP as `vitbench.score_statistics` does, of one image."""
    mine = every["box_image"] == image
    part = {f"box_{name}": every[f"box_{name}"][mine] for name in PER_DETECTION}
    part |= {
        "box_image": np.zeros(mine.sum(), np.int64),
        "box_truths": every["box_truths"][[image]],
    }
    found = statistic({"ids": np.zeros(1, str), **part}, "ap_box")
    assert found is not None
    return float(found.of(np.ones((1, 1)))[0])


def test_the_ap_of_an_image_is_that_of_a_split_with_this_image_alone() -> None:
    every = items(images=30, categories=5, detections=400)
    found = ap_by_image(every, "box")
    assert np.isnan(found[0])
    np.testing.assert_allclose(found, [alone(every, image) for image in range(30)], atol=1e-12)


@pytest.mark.parametrize("detections", [0, 1])
def test_images_without_detections_have_an_ap_of_0(detections: int) -> None:
    every = items(images=3, categories=2, detections=detections)
    every["box_truths"][:] = [[0, 0], [2, 0], [0, 1]]
    every["box_matched"][:] = False
    np.testing.assert_array_equal(ap_by_image(every, "box"), [np.nan, 0, 0])
