"""One run: a grid trained, a classifier chosen and scored, what it attends to drawn."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vitbench.api import (
    Backbone,
    ClassificationDataset,
    Context,
    ImageView,
    Outcome,
    Score,
    errors,
)
from vitbench.kit import (
    atomic,
    cut_note,
    distributed,
    load_batches,
    permutation,
    write_class_table,
)
from vitbench_protocols.attentive_probe.pooling import PoolingGrid
from vitbench_protocols.attentive_probe.training import GridTask, PatchReader, points, train_grid

if TYPE_CHECKING:
    from vitbench_protocols.attentive_probe import AttentiveProbe

BATCH = {"cpu": 32, "cuda": 128}  # images in a forward pass when classifiers are scored
SHOWN_PX = 224
HEAT = (214, 40, 40)


def score_probe(settings: "AttentiveProbe", backbone: Backbone, context: Context) -> Outcome:
    """Train the grid, choose a classifier on held-out images, and score it on val."""
    if not settings.learning_rates or not settings.weight_decays:
        raise errors.SettingError(["--learning-rates and --weight-decays must name one each"])
    backbone.check_images(settings.crop, settings.crop)
    width = backbone.info.stage(settings.layer).width
    if cut := cut_note(settings.crop, backbone.info.stage(0).stride):
        context.note(cut)
    train, val = (_classified(context, split) for split in ("train", "val"))
    order = permutation(context.seed, "held-out", length=len(train))
    count = max(1, round(len(order) * settings.held_out))
    kept, held_out = (
        train.subset(np.sort(rows).tolist()) for rows in (order[count:], order[:count])
    )
    read = PatchReader(backbone, context, settings.layer)
    grid = PoolingGrid(len(points(settings)), width, len(train.class_names), seed=context.seed)
    grid.to(context.device)
    train_grid(settings, GridTask(settings, grid, kept, read, context), context)
    best = grid.only(_choose(settings, grid.eval(), held_out, read, context))
    right = _hits(settings, best, val, read, context)
    if right is None:
        return Outcome(())
    hits = right[:, 0].double()
    found = {"top1": 100.0 * hits[:, 0].numpy(), "top5": 100.0 * hits.sum(dim=1).numpy()}
    scores = tuple(Score(name, float(values.mean()), len(val)) for name, values in found.items())
    artifacts = write_class_table(val, found, context)
    artifacts |= _draw(settings, best, val, read, context)
    return Outcome(scores, {"ids": np.array(val.ids), **found}, artifacts)


def _classified(context: Context, split: str) -> ClassificationDataset:
    dataset = context.dataset(split)
    assert isinstance(dataset, ClassificationDataset), f"{dataset.info.kind} without classes"
    return dataset


def _view(settings: "AttentiveProbe", context: Context) -> ImageView:
    return ImageView(settings.resize, settings.crop, resampling=context.resampling)


def _choose(
    settings: "AttentiveProbe",
    grid: PoolingGrid,
    held_out: ClassificationDataset,
    read: PatchReader,
    context: Context,
) -> int:
    """Return the number of the classifier with the most held-out images right, the first of them.

    It is told of in a note.
    """
    right = _hits(settings, grid, held_out, read, context)
    shares = torch.zeros(0) if right is None else right[:, :, 0].double().mean(dim=0)
    shares = distributed.from_main(shares)
    number = int(shares.argmax())
    rate, decay = points(settings)[number]
    context.note(
        f"chosen among {len(shares)} classifiers on {len(held_out)} held-out train images,"
        f" {100 * float(shares[number]):.2f} % of them right: learning rate {rate:g}, weight decay"
        f" {decay:g}"
    )
    return number


@torch.inference_mode()
def _hits(
    settings: "AttentiveProbe",
    grid: PoolingGrid,
    dataset: ClassificationDataset,
    read: PatchReader,
    context: Context,
) -> Tensor | None:
    """Return whether each of the 5 best classes of image and classifier is right, (n, G, 5).

    The main process alone gets it.
    """
    size = context.batch_size or BATCH.get(context.device.type, 32)
    batches = [range(at, min(at + size, len(dataset))) for at in range(0, len(dataset), size)]
    mine = distributed.share(batches)
    view, targets = _view(settings, context), torch.tensor(dataset.targets)
    parts: dict[int, Tensor] = {}
    for batch, pixels in load_batches(dataset, mine, view, workers=context.workers):
        logits = grid(read(pixels)).nan_to_num(nan=-torch.inf)
        best = logits.topk(min(5, logits.shape[2]), dim=2).indices.cpu()
        parts[batch[0]] = best == targets[list(batch)][:, None, None]
        context.progress(f"classifying {dataset.info.split}", batch[-1] + 1, len(dataset), "images")
    whole = distributed.merge_on_main(parts)
    return torch.cat([whole[at] for at in sorted(whole)]) if whole else None


@torch.inference_mode()
def _draw(
    settings: "AttentiveProbe",
    grid: PoolingGrid,
    dataset: ClassificationDataset,
    read: PatchReader,
    context: Context,
) -> dict[str, Path]:
    """Draw what the classifier attends to in some images, in red over the image in gray."""
    shown = np.unique(np.linspace(0, len(dataset) - 1, settings.pictures).round().astype(int))
    view = _view(settings, context)
    artifacts = {}
    for place in shown.tolist():
        sample = dataset[place]
        pixels = view(sample.image)
        path = context.output / f"attention-{place:06d}.png"
        artifacts[f"attention {sample.id}"] = path
        weights = grid.attention(read(pixels[None])).mean(dim=(0, 1, 2))
        _write_heat(pixels, weights.cpu(), path)
    return artifacts


def _write_heat(pixels: Tensor, weights: Tensor, path: Path) -> None:
    """Write an image, uint8 (3, S, S), in red where patches weigh more than evenly, (N,).

    The heaviest is all red, if it has twice the even weight or more.
    """
    side = round(len(weights) ** 0.5)
    above = (weights * len(weights) - 1).clamp(min=0)
    share = (above / above.max().clamp(min=1)).view(side, side).numpy()
    light = Image.fromarray((200 * share).astype(np.uint8))
    light = light.resize((SHOWN_PX, SHOWN_PX), Image.Resampling.BILINEAR)
    picture = Image.fromarray(pixels.permute(1, 2, 0).numpy()).convert("L").convert("RGB")
    picture = picture.resize((SHOWN_PX, SHOWN_PX))
    picture.paste(HEAT, (0, 0), light)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        picture.save(temporary, "PNG")
