"""The augmentation of linear evaluation: a random crop and a flip, drawn by address."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from vitbench.data.kinds import Items, Sample
from vitbench.data.multicrop import ATTEMPTS, crop_boxes
from vitbench.data.transforms import FILTERS, Interpolation, Resampling
from vitbench.keyed_random import keyed_uniform


@dataclass(frozen=True, slots=True)
class RandomCrops:
    """The images of a dataset, cropped and flipped at random, anew in each epoch.

    Source:
        facebookresearch/dino, eval_linear.py (7c446df): RandomResizedCrop(224), bilinear, and
        RandomHorizontalFlip, with torchvision's defaults.
    """

    dataset: Items[Sample[Any]]
    size: int  # side of a crop, px
    scale: tuple[float, float]  # area of a crop, share of the image
    seed: int
    epoch: int
    interpolation: Interpolation = "bilinear"
    resampling: Resampling = "exact"

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample[Any]:
        sample = self.dataset[index]
        return replace(sample, image=self._crop(sample.image, index))

    def _crop(self, image: Image.Image, index: int) -> Image.Image:
        drawn = keyed_uniform(self.seed, "random crop", self.epoch, index, count=2 * ATTEMPTS + 3)
        box = crop_boxes(
            np.array([[image.height, image.width]]),
            np.array([self.scale]),
            drawn[: 2 * ATTEMPTS].reshape(1, 1, ATTEMPTS, 2),
            drawn[None, None, 2 * ATTEMPTS : 2 * ATTEMPTS + 2],
        )
        top, left, height, width = box[0, 0].tolist()
        crop = image.crop((left, top, left + width, top + height))
        crop = self._resized(crop)
        return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if drawn[-1] < 0.5 else crop

    def _resized(self, crop: Image.Image) -> Image.Image:
        size = self.size, self.size
        if self.resampling == "exact":
            return crop.resize(size, FILTERS[self.interpolation])
        from vitbench.data.crop_resize import resized

        pixels = resized(np.array(crop), size, self.interpolation)
        return Image.fromarray(pixels.permute(1, 2, 0).numpy())
