"""Points of one feature map, found in another."""

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from vitbench.api import Backbone, Context
from vitbench.kit import KeypointPair, Points, to_pixels

if TYPE_CHECKING:
    from vitbench_protocols.correspondence import Correspondence

KEPT = 128  # images whose features are kept: those of one category come one after the other
WHITE = (255, 255, 255)


class Maps:
    """Normalized feature maps of images, each made once while its category is looked at."""

    def __init__(self, settings: "Correspondence", backbone: Backbone, context: Context) -> None:
        self._settings, self._backbone, self._context = settings, backbone, context
        self._kept: OrderedDict[Path, Tensor] = OrderedDict()

    def of(self, path: Path, image: Image.Image) -> Tensor:
        """Return the map of an image, (D, h, w) of L2-normalized float32."""
        if path not in self._kept:
            self._kept[path] = self._made(image)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(path)
        return self._kept[path]

    @torch.inference_mode()
    def _made(self, image: Image.Image) -> Tensor:
        side = self._settings.size
        square = Image.new("RGB", (max(image.size),) * 2, WHITE)
        square.paste(image, (0, 0))
        pixels = to_pixels(square.resize((side, side), Image.Resampling.BICUBIC))
        images = self._context.normalization(pixels[None].to(self._context.device))
        with self._context.autocast():
            (features,) = self._backbone(images, (self._settings.layer,))
        return normalize(features.patches[0].float(), dim=0)


def find_points(
    pair: KeypointPair, source: Tensor, target: Tensor, sides: tuple[int, int]
) -> Points:
    """Find the points of the first image in the second.

    Args:
        pair: The points.
        source: Map of the first image, (D, h, w), L2-normalized.
        target: Map of the second.
        sides: The longer side of each image, px.

    Returns:
        Their places, px of the second image, (k, 2): upper left corners of cells, as in the
        reference.

    Source:
        mbanani/probe3d, evaluate_spair_correspondence.py, compute_errors (a1f1464).
    """
    asked = torch.from_numpy(pair.source_points / sides[0]).to(source) * 2 - 1
    rows = grid_sample(source[None], asked[None, None], mode="bilinear", align_corners=True)
    alike = torch.einsum("dk,dn->kn", rows[0, :, 0], target.flatten(1))
    best = alike.argmax(dim=1)
    width = target.shape[-1]
    found = torch.stack([best % width, best // width], dim=1).double().cpu() / width
    places: Points = found.numpy() * sides[1]
    return places
