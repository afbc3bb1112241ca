"""One vector an image: passes at several scales, pooled, and whitened."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from vitbench.api import Backbone, Context, Dataset, Features, FeatureSpec, ImageView, Sample
from vitbench.kit import distributed, in_order, to_pixels

if TYPE_CHECKING:
    from vitbench_protocols.retrieval import Retrieval

GEM = 4.0  # exponent of the generalized mean
SMALLEST = 1e-6
AHEAD = 8  # images that are decoded before they are asked for


def describe(
    settings: "Retrieval",
    backbone: Backbone,
    context: Context,
    split: str,
    *,
    boxes: Sequence[Any] = (),
) -> Tensor | None:
    """Return the features of every image of a split, (n, D) float32, on the CPU.

    The main process alone gets them, others None.

    Args:
        settings: How images pass.
        backbone: The network.
        context: Of the run.
        split: Whose images pass; processes share them.
        boxes: What each image is cut to first, or None; empty: no image is cut.
    """
    pooled, single = settings.features == "pooled", tuple(settings.scales) == (1.0,)
    if settings.view == "cropped" and pooled and single and not boxes:
        table = context.features(split, FeatureSpec(view=_crop(settings, context)))
        return table.vectors() if distributed.is_main() else None
    dataset: Dataset[Sample[Any]] = context.dataset(split)

    def read(index: int) -> tuple[int, Tensor]:
        image = dataset[index].image
        if boxes and boxes[index] is not None:
            image = image.crop(boxes[index])
        return index, _seen(image, settings, context)

    mine = distributed.share(range(len(dataset)))
    found: dict[int, Tensor] = {}
    for index, pixels in in_order(read, mine, workers=context.workers, ahead=AHEAD):
        images = context.normalization(pixels[None].to(context.device))
        found[index] = _vector(settings, backbone, context, images).cpu()
        context.progress(f"features of {split}", index + 1, len(dataset))
    whole = distributed.merge_on_main(found)
    return torch.stack([whole[place] for place in range(len(dataset))]) if whole else None


def _crop(settings: "Retrieval", context: Context) -> ImageView:
    short = round(settings.size * 256 / 224)
    return ImageView(short, settings.size, resampling=context.resampling)


def _seen(image: Image.Image, settings: "Retrieval", context: Context) -> Tensor:
    """Return the image as it passes at scale 1, uint8 (3, H, W)."""
    if settings.view == "cropped":
        return _crop(settings, context)(image)
    size = settings.size, settings.size
    if settings.view == "squared":
        return to_pixels(image.resize(size, Image.Resampling.BICUBIC))
    image.thumbnail(size, Image.Resampling.LANCZOS)
    return to_pixels(image)


@torch.inference_mode()
def _vector(settings: "Retrieval", backbone: Backbone, context: Context, images: Tensor) -> Tensor:
    """Return the vector of one image (1, 3, H, W): the mean over scales, of length 1 if several."""
    passes = []
    for scale in settings.scales:
        scaled = images
        if scale != 1:
            scaled = interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)
        backbone.check_images(*scaled.shape[-2:])
        with context.autocast():
            (features,) = backbone(scaled)
        passes.append(_pooled(settings, features).float())
    mean = torch.stack(passes).mean(dim=0)
    vector: Tensor = (normalize(mean, dim=1) if len(passes) > 1 else mean)[0]
    return vector


def _pooled(settings: "Retrieval", features: Features) -> Tensor:
    if settings.features == "pooled":
        return features.pooled
    powers = features.patches.float().clamp(min=SMALLEST) ** GEM
    return torch.cat([features.pooled, powers.mean(dim=(2, 3)) ** (1 / GEM)], dim=1)


class Whitening:
    """Centering, rotation to principal axes and division by the root of their strengths.

    Args:
        features: What it is learned from, (n, D).

    Source:
        facebookresearch/dino, eval_copy_detection.py and utils.py, PCA (7c446df): the strengths
        are those of features that are not centered, to the power 1/2.
    """

    def __init__(self, features: Tensor) -> None:
        features = features.double()
        self._mean = features.mean(dim=0)
        strengths, axes = torch.linalg.eigh(features.T @ features / len(features))
        largest = float(strengths.max())
        self._axes = axes / strengths.clamp(min=1e-5 * largest).sqrt()

    def __call__(self, features: Tensor) -> Tensor:
        """Whiten features (n, D)."""
        whitened: Tensor = (features.double() - self._mean) @ self._axes
        return whitened.float()
