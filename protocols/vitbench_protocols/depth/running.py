"""One run: a head trained, its depth scored and drawn."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from vitbench.api import Backbone, Context, Dataset, Outcome, Sample, Score
from vitbench.kit import atomic, distributed, in_order
from vitbench_protocols.depth.errors import depth_scores
from vitbench_protocols.depth.learning import DepthTask, MapReader, learn, make_head, predicted
from vitbench_protocols.depth.views import central_view

if TYPE_CHECKING:
    from vitbench_protocols.depth import Depth

AHEAD = 8  # images that are decoded before they are asked for
SHOWN_PX = 240


def score_depth(settings: "Depth", backbone: Backbone, context: Context) -> Outcome:
    """Train the head, and compare its depth with the sensor's."""
    train: Dataset[Sample[Any]] = context.dataset("train")
    val: Dataset[Sample[Any]] = context.dataset("val")
    read = MapReader(settings, backbone, context)
    head = make_head(settings, read.widths, context.seed).to(context.device)
    learn(settings, DepthTask(settings, head, train, read, context), len(train), context)
    items, artifacts = _scored(settings, head.eval(), val, read, context)
    scores = []
    for name, values in items.items():
        known = values[~np.isnan(values)]
        scores.append(Score(name, float(known.mean()) if len(known) else None, len(known)))
    return Outcome(tuple(scores), {"ids": np.array(val.ids), **items}, artifacts)


@torch.inference_mode()
def _scored(
    settings: "Depth",
    head: nn.Module,
    val: Dataset[Sample[Any]],
    read: MapReader,
    context: Context,
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Score every image; return scores by metric and pictures, on the main process."""
    shown = set(np.linspace(0, len(val) - 1, settings.pictures).round().astype(int).tolist())
    mine = distributed.share(range(len(val)))
    scores: dict[int, dict[str, float]] = {}
    artifacts: dict[str, Path] = {}
    views = in_order(
        lambda place: central_view(val[place], settings.size, settings.max_depth),
        mine,
        workers=context.workers,
        ahead=AHEAD,
    )
    for place, (pixels, truth) in zip(mine, views, strict=True):
        found = predicted(head, read(pixels[None]), settings.size).cpu()
        scores[place] = {
            name: float(value) for name, value in depth_scores(found, truth[None]).items()
        }
        if place in shown:
            path = context.output / f"depth-{place:06d}.png"
            _draw(pixels, truth, found[0], path)
            artifacts[f"depth {val.ids[place]}"] = path
        context.progress("images", place + 1, len(val))
    whole, drawn = distributed.merge_on_main(scores), distributed.merge_on_main(artifacts)
    names = next(iter(whole.values()), {})
    return {name: np.array([whole[n][name] for n in range(len(val))]) for name in names}, drawn


def _draw(pixels: Tensor, truth: Tensor, found: Tensor, path: Path) -> None:
    """Draw image, sensor and prediction side by side: near is bright, what is not known black."""
    farthest = max(float(truth.max()), 1e-3)
    sheet = Image.new("RGB", (3 * SHOWN_PX, SHOWN_PX))
    for number, panel in enumerate((pixels, truth, found)):
        if panel.ndim == 3:
            picture = Image.fromarray(panel.permute(1, 2, 0).numpy())
        else:
            light = (255 - 215 * panel / farthest).clamp(40, 255) * (panel > 0)
            picture = Image.fromarray(light.byte().numpy()).convert("RGB")
        sheet.paste(picture.resize((SHOWN_PX, SHOWN_PX)), (number * SHOWN_PX, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        sheet.save(temporary, "PNG")
