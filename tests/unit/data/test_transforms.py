import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as official

from vitbench.data.transforms import ImageView


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(
    ("size", "resize", "crop"),
    [
        ((300, 201), 64, 56),
        ((201, 300), 64, 56),
        ((64, 97), 64, 57),
        ((61, 64), 64, 64),
        ((50, 40), 32, 48),
        ((40, 200), 33, 47),
    ],
)
def test_a_view_has_the_pixels_of_torchvision_s_resize_and_center_crop(
    size: tuple[int, int], resize: int, crop: int, interpolation: str
) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image = Image.fromarray(drawn)
    resized = official.resize(image, resize, InterpolationMode(interpolation))
    expected = official.pil_to_tensor(official.center_crop(resized, [crop, crop]))
    ours = ImageView(resize, crop, interpolation)(image)  # type: ignore[arg-type]
    assert torch.equal(ours, expected)
