"""Training views of an image: mirrored, at one of several sizes, sometimes cropped before."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench.api import Sample, errors, setting
from vitbench.kit import (
    Instance,
    Instances,
    Pixels,
    decode_mask,
    fitted,
    keyed_uniform,
    resize_image,
    resize_indices,
)


@dataclass(frozen=True, slots=True)
class View:
    """A training sample: an image, and the boxes, labels and masks of its objects."""

    image: Pixels  # (H, W, 3)
    boxes: NDArray[np.float32]  # (n, 4) left, top, right, bottom in px
    labels: NDArray[np.int64]  # (n,) from 1, in the order of the category ids
    masks: NDArray[np.uint8]  # (n, H, W), ones on the object
    outlined: NDArray[np.bool_]  # (n,) whether the mask is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Random sizes, crops and flips of training images, drawn by the position in the stream.

    Source:
        alinlab/SelfPatch (81aef14), detection/configs/selfpatch; mmdetection 2.x: RandomFlip,
        AutoAugment of Resize and of Resize, RandomCrop (absolute_range), Resize. DETR, where this
        comes from, limits the long side before a crop to 4200 px, this to the same 1333.
    """

    short: tuple[int, ...] = setting(
        tuple(range(480, 801, 32)),
        help="short sides of a training image, in pixels; one is drawn each time",
        minimum=16,
    )
    long: int = setting(1333, help="largest long side of a training image, in pixels", minimum=16)
    crop: tuple[int, ...] = setting(
        (384, 600),
        help="smallest and largest side, in pixels, of the crop that half of the images get; no"
        " values: no crop",
    )
    before_crop: tuple[int, ...] = setting(
        (400, 500, 600),
        help="short sides of an image before such a crop, in pixels; one is drawn each time",
        minimum=16,
    )

    def __post_init__(self) -> None:
        """Check the sizes against each other.

        Raises:
            SettingError: The crop has not two sides, or there is no size to draw.
        """
        found = [
            *(
                []
                if len(self.crop) in (0, 2)
                else [f"--views.crop is {self.crop}, expected 2 sides"]
            ),
            *([] if self.short and self.before_crop else ["--views.short or before-crop is empty"]),
        ]
        if found:
            raise errors.SettingError(found, hint="--views.crop 384 600")

    def make(self, view: View, *, seed: int, position: int) -> View:
        """Return a view for a position of the stream."""
        flip, branch, before, *place, size = keyed_uniform(
            seed, "detection view", position, count=8
        )
        if flip < 0.5:
            view = flipped(view)
        if self.crop and branch < 0.5:
            view = resized(view, short=_one_of(self.before_crop, before), long=self.long)
            view = cropped(view, _window(view.image, self.crop, place))
        return resized(view, short=_one_of(self.short, size), long=self.long)


def read_view(sample: Sample[Instances], labels: dict[int, int]) -> View:
    """Return an image with the objects that are trained on, as they are on disk.

    Args:
        sample: The image and its objects.
        labels: Label of each category.
    """
    image, truth = np.array(sample.image), sample.target
    things = trained_on(truth)
    boxes = np.array([one.box for one in things], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    masks = [decode_mask(one, truth.height, truth.width) for one in things]
    view = View(
        image,
        boxes,
        np.array([labels[one.category] for one in things], np.int64),
        np.array(masks, np.uint8).reshape(-1, *image.shape[:2]),
        np.array([bool(one.segmentation) for one in things], bool),
    )
    return cropped(view, (0, 0, *image.shape[:2]))


def trained_on(truth: Instances) -> list[Instance]:
    """Return the objects of an image that are learned from.

    Crowds are left out, and what has no area or sides below a pixel inside the image.

    Source:
        mmdetection 2.x, CocoDataset._parse_ann_info.
    """
    found = []
    for one in truth.items:
        left, top, width, height = one.box
        across = min(left + width, truth.width) - max(left, 0)
        down = min(top + height, truth.height) - max(top, 0)
        if not one.crowd and one.area > 0 and min(width, height) >= 1 and min(across, down) > 0:
            found.append(one)
    return found


def flipped(view: View) -> View:
    """Return the mirror image."""
    boxes = view.boxes.copy()
    boxes[:, [0, 2]] = view.image.shape[1] - view.boxes[:, [2, 0]]
    return View(
        np.ascontiguousarray(view.image[:, ::-1]),
        boxes,
        view.labels,
        np.ascontiguousarray(view.masks[..., ::-1]),
        view.outlined,
    )


def resized(view: View, *, short: float, long: float) -> View:
    """Return the view at another size, its sides reaching one of two limits in px."""
    size = fitted((view.image.shape[0], view.image.shape[1]), short=short, long=long)
    rows, columns = (new / old for new, old in zip(size, view.image.shape[:2], strict=True))
    scale = np.array([columns, rows, columns, rows], np.float32)
    masks = [resize_indices(np.ascontiguousarray(mask), size) for mask in view.masks]
    return View(
        resize_image(view.image, size),
        view.boxes * scale,
        view.labels,
        np.array(masks, np.uint8).reshape(-1, *size),
        view.outlined,
    )


def cropped(view: View, window: tuple[int, int, int, int]) -> View:
    """Return what a window shows: top, left, bottom, right; objects outside of it are left out."""
    top, left, bottom, right = window
    boxes = view.boxes - np.array([left, top, left, top], np.float32)
    limits = np.array([right - left, bottom - top] * 2, np.float32)
    boxes = np.clip(boxes, 0, limits)
    there = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(axis=1)
    part = (slice(top, bottom), slice(left, right))
    return View(
        view.image[part],
        boxes[there],
        view.labels[there],
        view.masks[there][:, part[0], part[1]],
        view.outlined[there],
    )


def _window(image: Pixels, limits: tuple[int, ...], drawn: Any) -> tuple[int, int, int, int]:
    """Draw a window; its sides lie within the limits, each by itself."""
    sides, starts = [], []
    for side, length, start in zip(image.shape[:2], drawn[:2], drawn[2:], strict=True):
        low, high = min(side, limits[0]), min(side, limits[1])
        sides.append(low + int(length * (high - low + 1)))
        starts.append(int(start * (side - sides[-1] + 1)))
    return starts[0], starts[1], starts[0] + sides[0], starts[1] + sides[1]


def _one_of(choices: tuple[int, ...], drawn: float) -> int:
    return choices[int(drawn * len(choices))]
