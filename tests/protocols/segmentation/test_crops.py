"""Training crops: image and truth stay together, and draws follow the position alone."""

from dataclasses import replace

import numpy as np

from vitbench_protocols.segmentation.classes import NONE
from vitbench_protocols.segmentation.crops import CropRules, distort

RULES = CropRules(
    size=32, short=64, long=2048, scales=(0.5, 2.0), class_share=0.75, fill=(124, 116, 104)
)
PLAIN = np.array([1.0] * 9)  # no chance comes true


def scene() -> tuple[np.ndarray, np.ndarray]:
    truth = np.zeros((64, 96), np.int16)
    truth[:, 48:] = 1
    image = np.where(truth[..., None] == 1, [250, 10, 10], [10, 10, 250]).astype(np.uint8)
    return image, truth


def test_a_position_gives_the_same_crop_again_and_another_gives_another() -> None:
    one, same, other = (RULES.make(*scene(), seed=0, position=p) for p in (3, 3, 4))
    np.testing.assert_array_equal(one.image, same.image)
    np.testing.assert_array_equal(one.truth, same.truth)
    assert not np.array_equal(one.image, other.image)


def test_truth_follows_the_image() -> None:
    _, truth = scene()
    gray = np.repeat(truth[..., None] * 100 + 50, 3, axis=2).astype(np.uint8)
    for position in range(20):
        crop = RULES.make(gray, truth, seed=0, position=position)
        red = crop.image.astype(int).mean(axis=2)
        inner = crop.truth != NONE
        left, right = (red[inner & (crop.truth == index)] for index in (0, 1))
        if len(left) and len(right):
            assert np.median(left) < np.median(right)


def test_a_class_fills_no_more_than_its_share_where_a_place_allows_it() -> None:
    def mixed(rules: CropRules) -> int:
        crops = [rules.make(*scene(), seed=0, position=position) for position in range(40)]
        counts = [np.bincount(crop.truth[crop.truth != NONE], minlength=2) for crop in crops]
        return sum(count.max() < 0.75 * count.sum() for count in counts)

    assert mixed(replace(RULES, class_share=1.1)) < 20
    assert mixed(RULES) > 25
    free = replace(RULES, class_share=0.0)  # no place is good enough: the last one is taken
    assert free.make(*scene(), seed=0, position=0).truth.shape == (32, 32)


def test_where_the_image_ends_there_is_the_fill_and_no_label() -> None:
    rules = replace(RULES, size=48, short=32, scales=(1.0, 1.0))
    crop = rules.make(*scene(), seed=0, position=0)
    np.testing.assert_array_equal(crop.truth[32:], NONE)
    np.testing.assert_array_equal(crop.image[32:], np.broadcast_to(rules.fill, (16, 48, 3)))


def test_an_image_without_labels_gives_a_crop_without_labels() -> None:
    image, truth = scene()
    crop = RULES.make(image, np.full_like(truth, NONE), seed=0, position=0)
    assert (crop.truth == NONE).all()


def test_distortion_does_nothing_where_no_chance_comes_true() -> None:
    image = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(distort(image, PLAIN), image)


def test_brightness_shifts_and_contrast_scales() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    brighter, steeper = PLAIN.copy(), PLAIN.copy()
    brighter[:2] = (0.0, 0.75)  # 32 * (2 * 0.75 - 1)
    steeper[2:4] = (0.0, 0.25)  # 0.5 + 0.25
    np.testing.assert_array_equal(distort(image, brighter), 116)
    np.testing.assert_array_equal(distort(image, steeper), 75)


def test_hue_turns_by_at_most_36_degrees() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[..., 0] = 200
    draws = PLAIN.copy()
    draws[6:8] = (0.0, 0.999)
    turned = distort(image, draws)[0, 0]
    assert turned[0] == 200
    assert 0 < turned[1] < 130
    assert turned[2] == 0


def test_gray_has_no_color_to_change() -> None:
    image = np.full((2, 2, 3), 90, np.uint8)
    draws = PLAIN.copy()
    draws[4:8] = (0.0, 0.9, 0.0, 0.3)
    np.testing.assert_array_equal(distort(image, draws), image)
