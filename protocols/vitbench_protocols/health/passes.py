"""The images' passes: features of all blocks, of changed images, and of random views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vitbench.api import Backbone, Context, Dataset, Features, ImageView, Sample, errors
from vitbench.kit import RandomCrops, distributed, keyed_uniform, load_batches, to_pixels

if TYPE_CHECKING:
    from vitbench_protocols.health import Health

BATCH = 16
ZOOM = 1.25
CHANGES = ("flip", "shift", "scale")
VIEW_SCALE = (0.2, 1.0)  # area of a random view, share of the image


@dataclass(frozen=True, slots=True)
class Passed:
    """What is kept of the images, all on the CPU."""

    pooled: Tensor  # (n, D)
    changed: Mapping[str, Tensor]  # by change, (n, D)
    rows: Sequence[Tensor]  # by block, drawn patches (n, m, D) after the final normalization
    places: Sequence[Tensor]  # by block, row and column of these, -1 to 1, (n, m, 2)
    norms: Tensor  # of the last block's patches before the final normalization, (n, h, w)
    raw: bool  # whether the network gives them so


@dataclass(frozen=True, slots=True)
class ChangedViews:
    """The center crop of an image, and that crop flipped, shifted and zoomed."""

    plain: ImageView
    shift: int  # px, down and to the right

    def __call__(self, image: Image.Image) -> Tensor:
        """Return pixels, uint8 (4, 3, crop, crop)."""
        whole = self.plain(image)
        wide = replace(self.plain, crop=self.plain.crop + 2 * self.shift)(image)
        zoomed = replace(self.plain, resize=round(self.plain.resize * ZOOM))(image)
        moved = wide[:, 2 * self.shift :, 2 * self.shift :]
        return torch.stack([whole, whole.flip(2), moved, zoomed])


@torch.inference_mode()
def pass_images(
    settings: "Health", backbone: Backbone, context: Context, dataset: Dataset[Sample[Any]]
) -> Passed | None:
    """Pass all images; processes share whole batches whose place is fixed.

    Returns:
        What was kept, on the main process; elsewhere None.
    """
    stride = backbone.info.stage(-1).stride
    plain = ImageView(settings.resize, settings.crop, resampling=context.resampling)
    view = ChangedViews(plain, max(1, stride // 2))
    starts = range(0, len(dataset), BATCH)
    mine = [range(at, min(at + BATCH, len(dataset))) for at in distributed.share(starts)]
    parts: dict[int, dict[str, Any]] = {}
    for batch, pixels in load_batches(dataset, mine, view, workers=context.workers):
        images = context.normalization(pixels.flatten(0, 1).to(context.device))
        images = images.view(pixels.shape)
        parts[batch[0]] = _pass_batch(settings, backbone, context, images, batch)
        context.progress("images", batch[-1] + 1, len(dataset))
    whole = distributed.merge_on_main(parts)
    if not whole:
        return None
    ordered = [whole[at] for at in sorted(whole)]
    depth = range(backbone.info.depth)
    return Passed(
        pooled=torch.cat([part["pooled"][:, 0] for part in ordered]),
        changed={
            change: torch.cat([part["pooled"][:, place] for part in ordered])
            for place, change in enumerate(CHANGES, start=1)
        },
        rows=[torch.cat([part["rows"][block] for part in ordered]) for block in depth],
        places=[torch.cat([part["places"][block] for part in ordered]) for block in depth],
        norms=torch.cat([part["norms"] for part in ordered]),
        raw=all(part["raw"] for part in ordered),
    )


def _pass_batch(
    settings: "Health",
    backbone: Backbone,
    context: Context,
    images: Tensor,
    batch: Sequence[int],
) -> dict[str, Any]:
    """Return what is kept of one batch (B, 4, 3, H, W)."""
    last = backbone.info.depth - 1
    with context.autocast():
        (pooled,) = backbone(images.flatten(0, 1))
        blocks = backbone(images[:, 0], range(last + 1))
        try:
            (raw,) = backbone(images[:, 0], (last,), norm=False)
        except errors.MissingAbility:
            raw = None
    drawn = [_draw(features, settings.patches, context.seed, batch) for features in blocks]
    norms = (raw or blocks[last]).patches.float().norm(dim=1)
    return {
        "pooled": pooled.pooled.float().cpu().view(*images.shape[:2], -1),
        "rows": [rows for rows, _ in drawn],
        "places": [places for _, places in drawn],
        "norms": norms.cpu(),
        "raw": raw is not None,
    }


def _draw(features: Features, count: int, seed: int, batch: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Draw patches of each image: their features (B, m, D) and places (B, m, 2)."""
    height, width = features.patches.shape[-2:]
    tokens = features.patches.float().flatten(2).transpose(1, 2).cpu()
    keys = keyed_uniform(
        seed, "health", np.asarray(batch)[:, None], np.arange(height * width), count=1
    )[..., 0]
    chosen = np.sort(np.argsort(keys, axis=1, kind="stable")[:, :count], axis=1)
    row, column = (2 * (index + 0.5) for index in np.divmod(chosen, width))
    places = np.stack([row / height - 1, column / width - 1], axis=-1)
    index = torch.from_numpy(chosen)[..., None].expand(-1, -1, tokens.shape[-1])
    return tokens.gather(1, index), torch.from_numpy(places)


@torch.inference_mode()
def pass_views(
    settings: "Health", backbone: Backbone, context: Context, dataset: Dataset[Sample[Any]]
) -> Tensor | None:
    """Return image-level features of random views, (n, q, D), on the main process, else None."""
    found: dict[int, Tensor] = {}
    for number in distributed.share(range(settings.views)):
        crops = RandomCrops(
            dataset,
            settings.crop,
            VIEW_SCALE,
            context.seed,
            number,
            resampling=context.resampling,
        )
        batches = [range(at, min(at + BATCH, len(dataset))) for at in range(0, len(dataset), BATCH)]
        parts = []
        for _, pixels in load_batches(crops, batches, to_pixels, workers=context.workers):
            with context.autocast():
                (features,) = backbone(context.normalization(pixels.to(context.device)))
            parts.append(features.pooled.float().cpu())
        found[number] = torch.cat(parts)
        context.progress("random views", number + 1, settings.views)
    whole = distributed.merge_on_main(found)
    if not whole:
        return None
    return torch.stack([whole[number] for number in range(settings.views)], dim=1)
