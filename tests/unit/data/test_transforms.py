from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as official

from vitbench.data.decode import read_image
from vitbench.data.folders import open_folders
from vitbench.data.loader import load_batches
from vitbench.data.transforms import FILTERS, ImageView, Interpolation, Resampling

SIZES = [  # width and height, short side, crop
    ((300, 201), 64, 56),
    ((201, 300), 64, 56),
    ((64, 97), 64, 57),  # as large as it shall be
    ((61, 64), 64, 64),
    ((50, 40), 32, 48),  # black around it
    ((40, 200), 33, 47),
    ((31, 47), 80, 71),  # enlarged
]
either = pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])


def difference(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return by how many levels of 255 pixels differ."""
    assert one.shape == other.shape
    assert one.dtype == other.dtype == torch.uint8
    return (one.int() - other.int()).abs()


@either
@pytest.mark.parametrize(("size", "resize", "crop"), SIZES)
def test_a_view_has_the_pixels_of_torchvision_s_resize_and_center_crop(
    size: tuple[int, int], resize: int, crop: int, interpolation: Interpolation
) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image = Image.fromarray(drawn)
    resized = official.resize(image, resize, InterpolationMode(interpolation))
    expected = official.pil_to_tensor(official.center_crop(resized, [crop, crop]))
    view = ImageView(resize, crop, interpolation)
    assert torch.equal(view(image), expected)
    assert torch.equal(view.of_pixels(drawn), expected)


@either
@pytest.mark.parametrize(("size", "resize", "crop"), SIZES)
def test_a_fast_view_is_within_one_level_of_widths_then_heights_resized_by_pil(
    size: tuple[int, int], resize: int, crop: int, interpolation: Interpolation
) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image, how = Image.fromarray(drawn), FILTERS[interpolation]
    width, height = official.resize(image, resize).size
    resized = image.resize((width, image.height), how).resize((width, height), how)
    expected = official.pil_to_tensor(official.center_crop(resized, [crop, crop]))
    view = ImageView(resize, crop, interpolation, "fast")
    found = difference(view(image), expected)
    assert found.max() <= (0 if min(size) == resize else 1)
    assert (found > 0).float().mean() < 0.1
    assert torch.equal(view.of_pixels(drawn), view(image))


@pytest.mark.data
def test_a_fast_view_of_photos_is_within_one_level_of_the_exact_one(real_data: Path) -> None:
    photos = sorted((real_data / "coco" / "val2017").glob("*.jpg"))[:10]
    for image in map(read_image, photos):
        found = difference(ImageView(resampling="fast")(image), ImageView()(image))
        assert found.max() <= 1
        assert (found > 0).float().mean() < 0.02


@pytest.mark.parametrize("resampling", ["exact", "fast"])
def test_batches_hold_the_view_of_each_image(folders: Path, resampling: Resampling) -> None:
    dataset, view = open_folders(folders, "val"), ImageView(32, 24, resampling=resampling)
    (_, pixels), *_ = load_batches(dataset, [[3, 1], [0]], view, workers=2)
    assert torch.equal(pixels, torch.stack([view(dataset[index].image) for index in (3, 1)]))


def test_only_a_fast_view_says_how_it_resizes() -> None:
    plain = {"resize": 256, "crop": 224, "interpolation": "bicubic"}
    assert ImageView().identity() == plain  # as in every store that there is
    assert ImageView(resampling="fast").identity() == {**plain, "resampling": "fast"}
