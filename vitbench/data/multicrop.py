"""Multi-crop settings, and every random parameter of a batch of crops drawn by address."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitbench.keyed_random import keyed_uniform
from vitbench.settings import setting

ATTEMPTS = 10  # tries to fit a crop before the central one is taken, as torchvision
RATIO = (3 / 4, 4 / 3)  # width over height of a crop, likewise
OF_BOX = 2 * ATTEMPTS + 2  # numbers drawn for a box: areas, ratios and the place
GLOBAL_CROPS = 2

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiCrop:
    """Two global crops and some local ones of each image, each augmented on its own.

    Three chances stand for the first global crop, the second one and the local crops.

    Source:
        Caron et al., DINO, ICCV 2021, implementation details. Reference:
        facebookresearch/dino, main_dino.py, DataAugmentationDINO (7c446df).
    """

    global_size: int = setting(224, help="side of a global crop, in pixels", minimum=1)
    local_size: int = setting(96, help="side of a local crop, in pixels", minimum=1)
    local_crops: int = setting(8, help="number of local crops of each image", minimum=0)
    global_scale: tuple[float, float] = setting(
        (0.4, 1.0),
        help="smallest and largest area of a global crop, as a share of the image",
        minimum=0,
        maximum=1,
    )
    local_scale: tuple[float, float] = setting(
        (0.05, 0.4),
        help="smallest and largest area of a local crop, as a share of the image",
        minimum=0,
        maximum=1,
    )
    interpolation: Literal["bicubic", "bilinear"] = setting(
        "bicubic", help="interpolation that resizes crops", choices=("bicubic", "bilinear")
    )
    flip: float = setting(0.5, help="probability of a horizontal flip", minimum=0, maximum=1)
    jitter: float = setting(0.8, help="probability of the color jitter", minimum=0, maximum=1)
    brightness: float = setting(0.4, help="largest change of brightness, as a share", minimum=0)
    contrast: float = setting(0.4, help="largest change of contrast, as a share", minimum=0)
    saturation: float = setting(0.2, help="largest change of saturation, as a share", minimum=0)
    hue: float = setting(
        0.1, help="largest turn of the hue, as a share of the color circle", minimum=0, maximum=0.5
    )
    gray: float = setting(0.2, help="probability that a crop becomes gray", minimum=0, maximum=1)
    blur: tuple[float, float, float] = setting(
        (1.0, 0.1, 0.5),
        help="probabilities of a blur: first global crop, second global crop, local crops",
        minimum=0,
        maximum=1,
    )
    blur_radius: tuple[float, float] = setting(
        (0.1, 2.0), help="smallest and largest radius of the blur, in pixels", minimum=0
    )
    solarize: tuple[float, float, float] = setting(
        (0.0, 0.2, 0.0),
        help="probabilities of a solarization: first global crop, second global crop, local crops",
        minimum=0,
        maximum=1,
    )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Side of every crop in pixels, global crops first."""
        return (self.global_size,) * GLOBAL_CROPS + (self.local_size,) * self.local_crops


def dino_crops() -> MultiCrop:
    """Return DINO's crops (facebookresearch/dino, main_dino.py, DataAugmentationDINO, 7c446df)."""
    return MultiCrop()


def selfpatch_crops() -> MultiCrop:
    """Return the crops of SelfPatch's released code: other scales than DINO's."""
    return MultiCrop(global_scale=(0.25, 1.0), local_scale=(0.05, 0.25))


def moby_crops() -> MultiCrop:
    """Return MoBY's two views: BYOL's augmentation, bilinear, no local crops."""
    return MultiCrop(local_crops=0, global_scale=(0.08, 1.0), interpolation="bilinear")


@dataclass(frozen=True, slots=True)
class CropDraws:
    """The drawn parameters of B images with V crops each; every array starts with (B, V)."""

    box: Ints  # (B, V, 4) top, left, height, width in pixels of the image
    flip: Bools
    jitter: Bools
    order: Ints  # (B, V, 4) brightness 0, contrast 1, saturation 2, hue 3, first applied first
    factors: Floats  # (B, V, 4) by the same numbers; hue is a share of the circle
    gray: Bools
    blur_radius: Floats  # 0: no blur
    solarize: Bools


def draw_crops(crops: MultiCrop, sizes: Ints, *, seed: int, epoch: int, indices: Ints) -> CropDraws:
    """Draw all parameters of a batch; a sample's do not depend on the rest of the batch.

    Args:
        crops: What is drawn.
        sizes: Height and width of each image, shape (B, 2).
        seed: The run's seed.
        epoch: Each epoch draws anew.
        indices: The samples' positions in the dataset, shape (B,).
    """
    drawn = _numbers(crops, seed, epoch, indices, OF_BOX + 14)
    rest = drawn[..., OF_BOX:]
    kinds = _kinds(crops)
    spread = np.array([crops.brightness, crops.contrast, crops.saturation, crops.hue])
    middle = np.array([1.0, 1.0, 1.0, 0.0])
    low = np.where(middle > 0, np.maximum(middle - spread, 0), -spread)
    blurred = rest[..., 11] < np.array(crops.blur)[kinds]
    return CropDraws(
        box=_boxes(crops, sizes, drawn[..., :OF_BOX]),
        flip=rest[..., 0] < crops.flip,
        jitter=rest[..., 1] < crops.jitter,
        order=np.argsort(rest[..., 2:6], axis=-1, kind="stable"),
        factors=low + rest[..., 6:10] * (middle + spread - low),
        gray=rest[..., 10] < crops.gray,
        blur_radius=np.where(blurred, _between(rest[..., 12], *crops.blur_radius), 0.0),
        solarize=rest[..., 13] < np.array(crops.solarize)[kinds],
    )


def draw_boxes(crops: MultiCrop, sizes: Ints, *, seed: int, epoch: int, indices: Ints) -> Ints:
    """Draw the boxes alone, as `draw_crops` does; shape (B, V, 4)."""
    return _boxes(crops, sizes, _numbers(crops, seed, epoch, indices, OF_BOX))


def _numbers(crops: MultiCrop, seed: int, epoch: int, indices: Ints, count: int) -> Floats:
    """Draw the first numbers of each crop; shape (B, V, count)."""
    views = np.arange(len(crops.sizes))
    return keyed_uniform(seed, "crops", epoch, indices[:, None], views, count=count)


def _kinds(crops: MultiCrop) -> Ints:
    """Return the kind of each crop: 0 first global, 1 second global, 2 local."""
    return np.minimum(np.arange(len(crops.sizes)), GLOBAL_CROPS)


def _boxes(crops: MultiCrop, sizes: Ints, drawn: Floats) -> Ints:
    scales = np.array([crops.global_scale, crops.global_scale, crops.local_scale])[_kinds(crops)]
    fit, place = drawn[..., : 2 * ATTEMPTS], drawn[..., 2 * ATTEMPTS :]
    return crop_boxes(sizes, scales, fit.reshape(*fit.shape[:-1], ATTEMPTS, 2), place)


def crop_boxes(sizes: Ints, scales: Floats, fit: Floats, place: Floats) -> Ints:
    """Take the first of the tried boxes that fits, or the central one; shape (B, V, 4).

    Source:
        torchvision, transforms/transforms.py, RandomResizedCrop.get_params.
    """
    height, width = sizes[:, 0, None], sizes[:, 1, None]  # (B, 1)
    area = (height * width)[..., None] * _between(fit[..., 0], scales[:, :1], scales[:, 1:])
    ratio = np.exp(_between(fit[..., 1], *np.log(RATIO)))
    tall = np.rint(np.sqrt(area / ratio)).astype(np.int64)  # (B, V, attempts)
    wide = np.rint(np.sqrt(area * ratio)).astype(np.int64)
    fits = (tall > 0) & (tall <= height[..., None]) & (wide > 0) & (wide <= width[..., None])
    first = fits.argmax(axis=-1)[..., None]
    found = fits.any(axis=-1)
    central_tall = np.where(width < RATIO[0] * height, np.rint(width / RATIO[0]), height)
    central_wide = np.where(width > RATIO[1] * height, np.rint(height * RATIO[1]), width)
    tall = np.where(found, np.take_along_axis(tall, first, -1)[..., 0], central_tall)
    wide = np.where(found, np.take_along_axis(wide, first, -1)[..., 0], central_wide)
    top = np.where(found, np.floor(place[..., 0] * (height - tall + 1)), (height - tall) // 2)
    left = np.where(found, np.floor(place[..., 1] * (width - wide + 1)), (width - wide) // 2)
    return np.stack([top, left, tall, wide], axis=-1).astype(np.int64)


def _between(share: Floats, low: Floats | float, high: Floats | float) -> Floats:
    return low + share * (np.asarray(high) - low)
