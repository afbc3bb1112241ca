"""From an image to classes: padding, windows, mirrors, scales."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vitbench.api import Normalization
from vitbench.kit import fitted
from vitbench_protocols.segmentation.inference import windows
from vitbench_protocols.segmentation.settings import Inference

NATIVE = Inference(short=32, long=2048)


class Brightest:
    """Scores each patch by its mean color: the class is the brightest channel."""

    patch_px = 8
    device = torch.device("cpu")
    normalization = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def scores(self, images: Tensor) -> Tensor:
        self.seen.append((images.shape[-2], images.shape[-1]))
        return torch.nn.functional.avg_pool2d(images, self.patch_px)

    def probabilities(self, scores: Tensor) -> Tensor:
        return scores.softmax(dim=1)


def halves(height: int = 32, width: int = 48) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 2] = 200
    image[:, width // 2 :, 0] = 200
    return image


def test_every_pixel_of_the_original_size_gets_a_class() -> None:
    found = Inference(short=16).classify(halves(64, 96), Brightest())
    assert found.shape == (64, 96)
    np.testing.assert_array_equal(found[:, :40], 2)
    np.testing.assert_array_equal(found[:, 56:], 0)


def test_sides_that_are_no_whole_patches_are_padded_and_cut_back() -> None:
    segmenter = Brightest()
    found = NATIVE.classify(halves(32, 45), segmenter)
    assert segmenter.seen == [(32, 48)]
    np.testing.assert_array_equal(found, NATIVE.classify(halves(32, 45), Brightest()))
    np.testing.assert_array_equal(found[:, -8:], 0)


@pytest.mark.parametrize("window", [32, 48, 1000])
def test_one_window_as_large_as_the_image_is_the_whole_image(window: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    by_window = Inference(short=32, window=window, stride=7).classify(image, Brightest())
    np.testing.assert_array_equal(by_window, NATIVE.classify(image, Brightest()))


def test_windows_cover_every_pixel_and_end_at_the_border() -> None:
    size, seen = (50, 33), np.zeros((50, 33), int)
    for top, left, bottom, right in windows(size, 24, 10):
        assert (bottom - top, right - left) == (24, 24)
        seen[top:bottom, left:right] += 1
    assert seen.min() == 1
    assert len(list(windows((512, 683), 512, 341))) == 2
    assert len(list(windows((512, 1400), 512, 341))) == 4


def test_overlapping_windows_of_a_local_segmenter_change_nothing() -> None:
    image = halves(32, 64)
    by_window = Inference(short=32, window=32, stride=16).classify(image, Brightest())
    np.testing.assert_array_equal(by_window, NATIVE.classify(image, Brightest()))


def test_mirrored_and_scaled_views_agree_where_the_image_is_symmetric_to_the_segmenter() -> None:
    segmenter = Brightest()
    views = Inference(short=32, scales=(0.5, 1.0, 1.5), flip=True)
    found = views.classify(halves(32, 64), segmenter)
    assert segmenter.seen == [(16, 32)] * 2 + [(32, 64)] * 2 + [(48, 96)] * 2
    np.testing.assert_array_equal(found, NATIVE.classify(halves(32, 64), Brightest()))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((512, 683), (512, 683)), ((300, 400), (512, 683)), ((200, 2000), (205, 2048))],
)
def test_sizes_reach_the_nearer_of_both_limits(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert fitted(size, short=512, long=2048) == expected
