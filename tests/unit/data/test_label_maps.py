"""Painting objects over one another, and placing maps as images are placed."""

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as pil

from vitbench.data.instances import Instance, Instances, RunLengths, decode_masks
from vitbench.data.label_maps import Geometry, GeometryKind, LabelMap, paint

# Two rows of four: a large object of category 9 on the left six pixels, a small one of category 5
# in the middle (column 1), a crowd of category 7 on the right column.
LARGE, SMALL, CROWD = ([0, 6, 2], [2, 2, 4], [6, 2])


def scene(*objects: tuple[int, list[int], bool]) -> Instances:
    items = [
        Instance(number, category, (0, 0, 1, 1), 1.0, crowd, RunLengths((2, 4), runs))
        for number, (category, runs, crowd) in enumerate(objects)
    ]
    return Instances(1, 2, 4, tuple(items))


def painted(target: Instances, **rules: object) -> LabelMap:
    return paint(target, decode_masks(target), **rules)  # type: ignore[arg-type]


def test_small_objects_lie_on_top() -> None:
    whole = painted(scene((5, SMALL, False), (9, LARGE, False)))
    np.testing.assert_array_equal(whole.labels("categories"), [[9, 5, 9, 0]] * 2)
    np.testing.assert_array_equal(whole.labels("segments"), [[2, 1, 2, 0]] * 2)


def test_later_objects_lie_on_top_in_the_order_of_the_file() -> None:
    whole = painted(scene((5, SMALL, False), (9, LARGE, False)), order="file")
    np.testing.assert_array_equal(whole.labels("categories"), [[9, 9, 9, 0]] * 2)


def test_crowd_regions_can_be_left_out() -> None:
    target = scene((7, CROWD, True), (9, LARGE, False))
    np.testing.assert_array_equal(painted(target).labels("categories"), [[9, 9, 9, 7]] * 2)
    without = painted(target, crowd=False)
    np.testing.assert_array_equal(without.labels("categories"), [[9, 9, 9, 0]] * 2)


def test_an_image_without_objects_is_background() -> None:
    assert not painted(scene()).labels("categories").any()


@pytest.mark.parametrize("size", [(640, 427), (333, 500), (500, 333), (640, 480), (225, 225)])
def test_images_and_labels_are_placed_as_torchvision_does(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 90, size[::-1]).astype(np.int32)
    image = Image.fromarray(noise)
    for kind, short in (("resize-crop", 256), ("crop", 224)):
        geometry = Geometry(kind, 224)  # type: ignore[arg-type]
        resized = pil.resize(image, short, InterpolationMode.NEAREST)
        expected = np.asarray(pil.center_crop(resized, [224, 224]))
        np.testing.assert_array_equal(geometry.apply_to_labels(noise), expected)


def test_squash_ignores_the_shape() -> None:
    labels = np.array([[1, 1, 2, 2]], np.int32)
    np.testing.assert_array_equal(Geometry("squash", 2).apply_to_labels(labels), [[1, 2], [1, 2]])


@pytest.mark.parametrize("kind", ["squash", "crop", "resize-crop"])
def test_tiny_images_fill_the_square(kind: GeometryKind) -> None:
    placed = Geometry(kind, 32).apply_to_labels(np.full((1, 10), 3, np.int32))
    assert placed.shape == (32, 32)
    assert (placed == 3).all()
