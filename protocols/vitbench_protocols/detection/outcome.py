"""The outcome of a run: scores, per-image data, table of categories, pictures, curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vitbench.api import Context, InstanceDataset, Outcome
from vitbench.kit import distributed, read_metrics, write_curves
from vitbench_protocols.detection.ap_by_image import Items, ap_by_image
from vitbench_protocols.detection.metrics import Engine
from vitbench_protocols.detection.pictures import Shown, write_sheet
from vitbench_protocols.detection.results import Detected
from vitbench_protocols.detection.scores import (
    Evaluated,
    evaluate_kind,
    summarize,
    write_categories,
)
from vitbench_protocols.detection.truth import Kind, Truth

SHOWN = 8  # images that are drawn
JOURNAL = "metrics.jsonl"
PANELS = (
    ("loss", "rpn_objectness", "rpn_box", "class", "box", "mask"),
    ("ap_box", "ap50_box", "ap_mask", "ap50_mask"),
    ("learning_rate",),
)


def finish(
    detections: Sequence[Detected],
    dataset: InstanceDataset,
    truth: Truth,
    context: Context,
    engine: Engine,
) -> Outcome:
    """Evaluate a split's detections, and draw some images with truth and prediction.

    Args:
        detections: Of all images.
        dataset: The split.
        truth: Its objects.
        context: Where files go.
        engine: Whose code evaluates.
    """
    for text in truth.notes:
        context.note(text)
    found: dict[Kind, Evaluated] = {}
    for kind in kinds(detections, truth, context):
        context.progress(f"evaluating {kind}", 0, 1)
        found[kind] = evaluate_kind(truth, detections, kind, engine)
    items = {"ids": np.array(truth.ids)}
    for evaluated in found.values():
        items |= evaluated.items
    context.output.mkdir(parents=True, exist_ok=True)
    paths = {"categories": context.output / "categories.csv"}
    if distributed.is_main():
        write_categories(found, truth, paths["categories"])
        paths |= _sheets(items, list(found)[-1], detections, dataset, truth, context.output)
    paths |= _curves(context.output)
    return Outcome(summarize(found, len(truth.ids)), items, paths)


def kinds(detections: Sequence[Detected], truth: Truth, context: Context) -> Sequence[Kind]:
    """Return what can be evaluated: boxes always, masks where there are any and true ones too."""
    if detections and detections[0].segmentation is None:
        return ("box",)
    missing = truth.without_outline()
    if missing:
        objects = sum(len(image.items) for image in truth.objects)
        context.note(
            f"{missing} of {objects} objects of {truth.name} have no outline: they count for boxes,"
            " not for masks"
        )
    return truth.kinds


def _sheets(
    items: Items,
    kind: Kind,
    detections: Sequence[Detected],
    dataset: InstanceDataset,
    truth: Truth,
    folder: Path,
) -> dict[str, Path]:
    """Draw images, evenly spread and the same for every backbone, where their files are there."""
    scores = ap_by_image(items, kind)
    known = [
        place
        for place in np.flatnonzero(~np.isnan(scores)).tolist()
        if dataset.files[place].is_file()
    ]
    of_image: dict[int, list[Detected]] = {}
    for one in detections:
        of_image.setdefault(one.image_id, []).append(one)
    spread = np.linspace(0, len(known) - 1, SHOWN).round().astype(int).tolist() if known else ()
    paths = {}
    for place in dict.fromkeys(known[index] for index in spread):
        sample = dataset[place]
        title = f"{sample.id}   AP {kind} {scores[place]:.1f} %"
        mine = of_image.get(truth.image_ids[place], [])
        path = folder / "shown" / f"{place:06}.png"
        path.parent.mkdir(exist_ok=True)
        write_sheet([Shown(title, np.array(sample.image), sample.target, mine)], truth, path)
        paths[f"prediction {sample.id}"] = path
    return paths


def _curves(folder: Path) -> Mapping[str, Path]:
    if not (folder / JOURNAL).exists():
        return {}
    paths = {"journal": folder / JOURNAL, "curves": folder / "curves.svg"}
    if distributed.is_main():
        write_curves(read_metrics(folder), PANELS, paths["curves"])
    return paths
