"""Components, attention and spread of the patch features of a few images."""

import math
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from vitbench.api import Backbone, Context, ImageView, errors
from vitbench.kit import atomic, load_batches

if TYPE_CHECKING:
    from vitbench_protocols.feature_pca import FeaturePca

PICTURE_PX = 280
DIM = 0.12  # brightness of an image where no attention falls
TAILS = (0.02, 0.98)  # shares of the patches whose colors are cut off, so that few don't rule all


@torch.inference_mode()
def look(
    settings: "FeaturePca", backbone: Backbone, chosen: Sequence[int], context: Context
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return pixels (n, 3, H, W), patches (n, D, h, w) and attention (n, h, w), on the CPU."""
    view = ImageView(settings.resize, settings.crop, resampling=context.resampling)
    singles = [[index] for index in chosen]
    pixels, patches, attention = [], [], []
    batches = load_batches(context.dataset("val"), singles, view, workers=context.workers)
    for done, (_, batch) in enumerate(batches):
        images = context.normalization(batch.to(context.device))
        with context.autocast():
            (features,) = backbone(images)
            with suppress(errors.MissingAbility):
                attention.append(_class_attention(backbone, images, features.patches.shape))
        pixels.append(batch)
        patches.append(features.patches.float().cpu())
        context.progress("images", done + 1, len(chosen), "images")
    if not attention:
        context.note(f"{backbone.info.arch} has no attention over the whole image: none drawn")
    return torch.cat(pixels), torch.cat(patches), torch.cat(attention) if attention else None


def spread(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Measure how many dimensions the patches of each image use.

    Args:
        tokens: Patch tokens, shape (n, N, D).

    Returns:
        The effective rank (n,), 1 to min(N, D): the exponential of the entropy of the singular
        values; and the percentage of the variance that three components hold (n,).

    Source:
        Garrido et al., RankMe, ICML 2023, equation 1, here over the patches of one image.
    """
    values = torch.linalg.svdvals(tokens - tokens.mean(dim=1, keepdim=True))
    share = values / values.sum(dim=1, keepdim=True).clamp(min=1e-12)
    rank: Tensor = torch.special.entr(share).sum(dim=1).exp()
    variance = values**2
    total = variance.sum(dim=1).clamp(min=1e-12)
    return rank, 100 * variance[:, :3].sum(dim=1) / total


def entropy(attention: Tensor) -> Tensor:
    """Return how evenly attention (n, N) is spread: 0 on one patch, 100 on all alike."""
    share = attention / attention.sum(dim=1, keepdim=True).clamp(min=1e-12)
    spread_out: Tensor = torch.special.entr(share).sum(dim=1)
    return 100 * spread_out / math.log(max(2, share.shape[1]))


def components(patches: Tensor) -> Tensor:
    """Color patches (n, D, h, w) by their three main components over all images: (n, 3, h, w).

    The sign of a component is that of its largest entry, not left to chance.
    """
    n, _, h, w = patches.shape
    tokens = patches.flatten(2).transpose(1, 2).flatten(0, 1)  # (n * N, D)
    centered = tokens - tokens.mean(dim=0)
    axes = torch.linalg.svd(centered, full_matrices=False).Vh[:3]
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
    values = centered @ (axes * largest.sign()).T
    low, high = (torch.quantile(values, share, dim=0) for share in TAILS)
    colors: Tensor = ((values - low) / (high - low).clamp(min=1e-12)).clamp(0, 1) * 255
    return colors.view(n, h, w, -1).permute(0, 3, 1, 2)


def lit(pixels: Tensor, attention: Tensor) -> Tensor:
    """Light images (n, 3, H, W) where attention (n, h, w) falls; its strongest patch fully."""
    strength = attention / attention.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    light = torch.nn.functional.interpolate(
        strength[:, None].sqrt(), size=pixels.shape[-2:], mode="bilinear", align_corners=False
    )
    return pixels * (DIM + (1 - DIM) * light)


def write(
    pictures: Mapping[str, Tensor],
    ids: Sequence[str],
    folder: Path,
    left_out: Container[tuple[str, int]] = (),
) -> dict[str, Path]:
    """Write each picture (n, 3, h, w), 0 to 255, as PNG; return "kind id" -> file.

    Those whose kind and number are in `left_out` are not written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for number, item in enumerate(ids):
        for kind, drawn in pictures.items():
            if (kind, number) in left_out:
                continue
            path = folder / f"{number:03d}-{kind}.png"
            colors = drawn[number].expand(3, -1, -1).permute(1, 2, 0).round().byte().numpy()
            image = Image.fromarray(colors)
            with atomic(path) as temporary:
                image.resize((PICTURE_PX,) * 2, Image.Resampling.NEAREST).save(temporary, "PNG")
            written[f"{kind} {item}"] = path
    return written


def _class_attention(backbone: Backbone, images: Tensor, shape: torch.Size) -> Tensor:
    """Return what the class token attends to, mean over heads, (n, h, w)."""
    heads = backbone.attention(images).float()  # (n, heads, T, T)
    prefix = backbone.info.prefix_tokens
    queries = heads[:, :, :1] if prefix else heads
    return queries[..., prefix:].mean(dim=(1, 2)).view(len(images), *shape[-2:]).cpu()
