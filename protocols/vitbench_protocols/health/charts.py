"""Pictures of a backbone's health: norms of patches as images, blocks as a table."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from vitbench.kit import atomic

PICTURE_PX = 224
SHOWN = 8  # images whose norms are drawn


def write_table(path: Path, columns: Mapping[str, Sequence[float]]) -> None:
    """Write the statistics of each block as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["block", *columns])
        for block, values in enumerate(zip(*columns.values(), strict=True), start=1):
            writer.writerow([block, *(f"{value:.4f}" for value in values)])


def write_norms(
    folder: Path, norms: Tensor, threshold: float, ids: Sequence[str]
) -> dict[str, Path]:
    """Draw the norms of patches (n, h, w) of the images with most artifacts; white: the threshold.

    Artifacts themselves are red.
    """
    above = (norms > threshold).flatten(1).sum(dim=1)
    order = above.sort(descending=True, stable=True).indices[:SHOWN].tolist()
    written = {}
    folder.mkdir(parents=True, exist_ok=True)
    for number in order:
        gray = (norms[number] / threshold).clamp(max=1).mul(255).round().byte().numpy()
        colors = np.repeat(gray[..., None], 3, axis=2)
        colors[(norms[number] > threshold).numpy()] = (214, 40, 40)
        path = folder / f"norms-{number:04d}.png"
        picture = Image.fromarray(colors).resize((PICTURE_PX,) * 2, Image.Resampling.NEAREST)
        with atomic(path) as temporary:
            picture.save(temporary, "PNG")
        written[f"norms {ids[number]}"] = path
    return written
