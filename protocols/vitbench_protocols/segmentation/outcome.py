"""The outcome of a run: scores, prediction files, table of classes, pictures, curves."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitbench.api import Context, IndexMapDataset, Outcome
from vitbench.kit import (
    atomic,
    distributed,
    read_metrics,
    write_curves,
)
from vitbench_protocols.segmentation.classes import Classes, Indices
from vitbench_protocols.segmentation.pictures import Shown, write_sheet
from vitbench_protocols.segmentation.scenes import Scene, read_scene
from vitbench_protocols.segmentation.scores import Tally, iou_by_image, summarize, write_classes

SHOWN = 8  # images that are drawn
PREDICTIONS, JOURNAL = "predictions", "metrics.jsonl"
PANELS = (("loss",), ("pixel_accuracy", "miou", "aacc", "macc"), ("learning_rate",))

Predicted = Callable[[Scene], Indices]


class Keeper:
    """Writes each prediction as a PNG with the labels of the data's own files."""

    def __init__(self, folder: Path, classes: Classes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.classes = folder, classes

    def __call__(self, scene: Scene, predicted: Indices) -> None:
        """Write one prediction."""
        labels = Image.fromarray(self.classes.to_labels(predicted))
        with atomic(self._path(scene.id)) as path:
            labels.save(path, format="PNG")

    def read(self, scene: Scene) -> Indices:
        """Return a prediction that was written."""
        with Image.open(self._path(scene.id)) as image:
            return self.classes.indices(np.array(image).astype(np.int32))

    def _path(self, name: str) -> Path:
        return self.folder / f"{Path(name).stem}.png"


def finish(
    tally: Tally,
    dataset: IndexMapDataset,
    classes: Classes,
    predicted: Predicted,
    context: Context,
) -> Outcome:
    """Turn a split's counts into scores, and draw some images with truth and prediction.

    Args:
        tally: The counts of all its images.
        dataset: The split.
        classes: Its classes.
        predicted: Gives the prediction for an image again.
        context: Where files go.
    """
    items = {**tally.items(dataset.ids), "confusion_names": np.array(classes.names)}
    context.output.mkdir(parents=True, exist_ok=True)
    paths = {"classes": context.output / "classes.csv"}
    if distributed.is_main():
        write_classes(tally.total, classes, paths["classes"])
    for place, iou in _shown_places(items):
        name = f"prediction {dataset.ids[place]}"
        paths[name] = context.output / "shown" / f"{place:06}.png"
        if distributed.is_main():
            paths[name].parent.mkdir(exist_ok=True)
            write_sheet([_shown(dataset, place, iou, classes, predicted)], classes, paths[name])
    if (context.output / JOURNAL).exists():
        paths |= {"journal": context.output / JOURNAL, "curves": context.output / "curves.svg"}
        if distributed.is_main():
            write_curves(read_metrics(context.output), PANELS, paths["curves"])
    return Outcome(summarize(items), items, paths)


def _shown_places(items: Mapping[str, NDArray[Any]]) -> Sequence[tuple[int, float]]:
    """Return the places of images, evenly spread, with their mean IoU.

    They are the same for every backbone, so that predictions stand side by side.
    """
    iou = iou_by_image(items)
    known = np.flatnonzero(~np.isnan(iou))
    if not len(known):
        return []
    spread = known[np.unique(np.linspace(0, len(known) - 1, SHOWN).round().astype(int))]
    return [(int(place), float(iou[place])) for place in spread]


def _shown(
    dataset: IndexMapDataset, place: int, iou: float, classes: Classes, predicted: Predicted
) -> Shown:
    scene = read_scene(dataset, place, classes)
    return Shown(
        f"{scene.id}   mean IoU of its classes {iou:.1f} %",
        scene.image,
        scene.truth,
        predicted(scene),
    )
