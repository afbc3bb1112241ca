"""Training views: boxes and masks go with the pixels, and odd annotations are handled."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from vitbench.api import Sample, errors
from vitbench.kit import Instance, Instances
from vitbench_protocols.detection.views import (
    View,
    Views,
    cropped,
    flipped,
    read_view,
    resized,
    trained_on,
)


def bright_rectangle(height: int = 60, width: int = 80) -> View:
    """Return a view in which the object alone is bright."""
    image = np.zeros((height, width, 3), np.uint8)
    image[20:50, 10:40] = 255
    return View(
        image,
        np.array([[10, 20, 40, 50]], np.float32),
        np.array([3], np.int64),
        (image[None, :, :, 0] > 0).astype(np.uint8),
        np.array([True]),
    )


def agrees(view: View, tolerance: float = 1.5) -> None:
    """Check that box, mask and bright pixels are in one place."""
    for seen in (view.image[..., 0] > 127, view.masks[0] > 0):
        rows, columns = np.nonzero(seen)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(np.array(found) - view.boxes[0]).max() <= tolerance


@pytest.mark.parametrize(
    "change",
    [
        flipped,
        lambda view: resized(view, short=90, long=200),
        lambda view: resized(view, short=33, long=50),
        lambda view: cropped(view, (10, 5, 45, 70)),
        lambda view: flipped(cropped(resized(view, short=120, long=160), (8, 16, 100, 158))),
    ],
)
def test_boxes_and_masks_go_with_the_pixels(change: object) -> None:
    agrees(change(bright_rectangle()))  # type: ignore[operator]


def test_a_crop_cuts_objects_off_and_leaves_out_what_it_does_not_show() -> None:
    view = bright_rectangle()
    assert cropped(view, (0, 0, 30, 30)).boxes.tolist() == [[10, 20, 30, 30]]
    outside = cropped(view, (0, 45, 60, 80))
    assert outside.boxes.shape == (0, 4)
    assert outside.masks.shape == (0, 60, 35)


def test_views_are_drawn_by_the_place_in_the_stream() -> None:
    views = Views(short=(40, 56, 72), long=100, crop=(30, 50), before_crop=(48, 64))
    made = [views.make(bright_rectangle(), seed=0, position=position) for position in range(60)]
    again = views.make(bright_rectangle(), seed=0, position=7)
    np.testing.assert_array_equal(again.image, made[7].image)
    shorts = {min(view.image.shape[:2]) for view in made}
    assert {40, 56, 72} <= shorts
    assert max(max(view.image.shape[:2]) for view in made) <= 100
    whole = [view for view in made if abs(view.image.shape[1] / view.image.shape[0] - 4 / 3) < 0.03]
    assert 15 < len(whole) < 50  # about every second one is cropped before
    left = [view.boxes[0, 0] / view.image.shape[1] for view in whole if len(view.boxes)]
    assert 0.2 < np.mean([place > 0.3 for place in left]) < 0.8  # and mirrored
    for view in made:
        if len(view.boxes) and min(view.boxes[0, 2:] - view.boxes[0, :2]) > 4:
            agrees(view, 2.5)


def test_settings_of_views_that_make_no_sense_are_told() -> None:
    with pytest.raises(errors.SettingError, match="expected 2 sides"):
        Views(crop=(384,))
    with pytest.raises(errors.SettingError, match="is empty"):
        Views(short=())


def test_the_published_crops_lie_within_their_limits() -> None:
    views = replace(Views(), short=(480,), before_crop=(600,))
    for position in range(8):
        made = views.make(bright_rectangle(), seed=1, position=position)
        assert min(made.image.shape[:2]) == 480 or max(made.image.shape[:2]) == 1333


@pytest.mark.parametrize(("height", "width"), [(1, 1), (40, 400), (400, 40), (33, 1)])
def test_images_of_odd_shapes_give_a_view(height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    view = View(
        image,
        np.array([[0, 0, width, height]], np.float32),
        np.array([1]),
        np.ones((1, height, width), np.uint8),
        np.array([True]),
    )
    views = Views(short=(32, 48), long=96, crop=(16, 24), before_crop=(24,))
    for position in range(6):
        made = views.make(view, seed=0, position=position)
        assert made.masks.shape[1:] == made.image.shape[:2]
        assert min(made.image.shape[:2]) >= 1
        assert len(made.boxes) == len(made.labels) == len(made.masks) == 1


def thing(
    number: int, box: tuple[float, float, float, float], *, crowd: bool = False, area: float = 9.0
) -> Instance:
    left, top, width, height = box
    points = [left, top, left + width, top, left + width, top + height]
    return Instance(number, 4, box, area, crowd, [points])


def test_crowds_and_what_has_no_area_are_not_learned_from() -> None:
    things = (
        thing(1, (2, 2, 10, 10)),
        thing(2, (2, 2, 10, 10), crowd=True),
        thing(3, (2, 2, 0, 10)),
        thing(4, (2, 2, 0.5, 10)),
        thing(5, (2, 2, 10, 10), area=0),
        thing(6, (100, 2, 10, 10)),
        thing(7, (25, 15, 30, 30)),
    )
    truth = Instances(1, 20, 30, things)
    assert [one.id for one in trained_on(truth)] == [1, 7]
    view = read_view(Sample("a.png", Image.new("RGB", (30, 20)), truth), {4: 2})
    assert view.boxes.tolist() == [[2, 2, 12, 12], [25, 15, 30, 20]]
    assert view.labels.tolist() == [2, 2]
    assert view.outlined.tolist() == [True, True]


def test_an_object_without_outline_has_no_mask_to_learn_from() -> None:
    bare = Instance(1, 4, (2.0, 2.0, 10.0, 10.0), 9.0, False, [])
    truth = Instances(1, 20, 30, (bare, thing(2, (2, 2, 10, 10))))
    view = read_view(Sample("a.png", Image.new("RGB", (30, 20)), truth), {4: 1})
    assert view.outlined.tolist() == [False, True]
    assert view.masks.sum(axis=(1, 2)).tolist()[0] == 0
