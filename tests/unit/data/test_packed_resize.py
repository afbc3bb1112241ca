"""Crops of images of any sizes, resized all at once."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as ops

from vitbench.data.crop_resize import Filter
from vitbench.data.packed_resize import UNIT, Cuts, Groups, Shelf, cuts, resize, sample_weights
from vitbench.data.sizes import Pixels
from vitbench.data.upload import Parcel

BOXES = np.array([
    [0, 0, 90, 120],   # all of it
    [10, 20, 50, 40],
    [40, 70, 50, 50],  # a corner
    [3, 5, 11, 9],     # enlarged
    [89, 119, 1, 1],   # one pixel
])  # fmt: skip
FLIPS = np.array([False, True, True, False, True])
FILTERS: tuple[Filter, ...] = ("bicubic", "bilinear")
CPU = torch.device("cpu")


@pytest.fixture
def images(photo: Callable[[int, int, int], Pixels]) -> list[Pixels]:
    return [photo(90, 120, 0), photo(130, 125, 1)]


def with_pil(image: Pixels, size: int, kind: Filter) -> np.ndarray:
    made = []
    for box, flip in zip(BOXES.tolist(), FLIPS, strict=True):
        crop = ops.resized_crop(Image.fromarray(image), *box, [size, size], InterpolationMode(kind))
        made.append(np.array(ops.hflip(crop) if flip else crop))
    return np.stack(made).astype(np.float64)


def planned(images: list[Pixels], groups: Groups, kind: Filter) -> tuple[Cuts, Parcel]:
    """Plan the boxes of every image, for each group."""
    shelf, repeats = Shelf.of(images), len(images) * len(groups)
    image = np.tile(np.repeat(np.arange(len(images)), len(BOXES)), len(groups))
    boxes, flips = np.tile(BOXES, (repeats, 1)), np.tile(FLIPS, repeats)
    plan = cuts(shelf, image, boxes, flips, groups, kind)
    parcel = Parcel(plan.arrays, CPU, empty={"images": (np.uint8, shelf.shape)})
    parcel["images"][...] = 99  # no crop may see what lies beside an image
    shelf.fill(parcel["images"], images)
    return plan, parcel


@pytest.mark.parametrize("kind", FILTERS)
def test_crops_of_two_sizes_of_all_images_are_pils(images: list[Pixels], kind: Filter) -> None:
    count = len(images) * len(BOXES)
    plan, parcel = planned(images, [(count, 48), (count, 16)], kind)
    sent = parcel.send()
    made = resize(sent["images"].view(-1, UNIT * 3).float(), plan, sent, kind)
    for crops, size in zip(made, (48, 16), strict=True):
        ours = crops.transpose(1, 2).clamp(0, 255).numpy()
        theirs = np.concatenate([with_pil(image, size, kind) for image in images])
        assert np.abs(ours - theirs).mean() < 0.5  # of the 2 levels allowed


def test_the_weights_of_each_sample_sum_to_one_within_the_box(images: list[Pixels]) -> None:
    plan, parcel = planned(images[:1], [(len(BOXES), 7)], "bicubic")
    first, weights = sample_weights(parcel.send(), plan.taps, "bicubic")
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 7 * len(BOXES)))
    lengths = torch.from_numpy(BOXES[:, 2:].T).repeat_interleave(7, dim=1)
    beyond = first[..., None] + torch.arange(plan.taps) >= lengths[..., None]
    assert weights[beyond].count_nonzero() == 0


def test_arrays_arrive_as_they_were_sent() -> None:
    arrays = {"a": np.arange(5, dtype=np.float32), "b": np.array([[1, 2], [3, 4]], np.int32)}
    parcel = Parcel(arrays, CPU, empty={"c": (np.uint8, (3, 2))})
    parcel["c"][...] = 7
    sent = parcel.send()
    assert sent["a"].tolist() == [0, 1, 2, 3, 4]
    assert sent["b"].tolist() == [[1, 2], [3, 4]]
    assert sent["c"].tolist() == [[7, 7]] * 3
