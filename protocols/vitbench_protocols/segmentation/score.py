"""`vitbench score segmentation`: mIoU of anybody's label files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from vitbench.api import (
    Context,
    Dataset,
    MetricSpec,
    Outcome,
    errors,
    in_order,
    labels_in,
    read_index_map,
    setting,
)
from vitbench_protocols.segmentation.classes import NONE, Classes, Indices
from vitbench_protocols.segmentation.outcome import finish
from vitbench_protocols.segmentation.predict import Scene, read_scene
from vitbench_protocols.segmentation.scores import METRICS, Tally, confusion

IGNORED = 255
AHEAD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationMaps:
    """mIoU of a folder of PNGs, one an image, named as the image and as large.

    A pixel without a prediction (label 0) is wrong wherever the truth has a class.
    """

    name: ClassVar[str] = "segmentation"
    version: ClassVar[int] = 1
    data: ClassVar[Literal["semantic"]] = "semantic"
    default_data: ClassVar[str] = "ade20k"
    metrics: ClassVar[tuple[MetricSpec, ...]] = METRICS
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "labels": {},
        "from-zero": {"numbering": "from-zero"},
    }

    split: Literal["val", "train"] = setting("val", help="which images")
    numbering: Literal["labels", "from-zero"] = setting(
        "labels", help="labels as in the data's own files, or classes counted from 0, 255 for none"
    )

    @property
    def splits(self) -> tuple[str, ...]:
        """The one split that is read."""
        return (self.split,)

    def run(self, predictions: Path, context: Context) -> Outcome:
        """Count every image's pixels.

        Raises:
            DatasetError: A file is missing, is no index map, has another size than its image, or
                labels that are no class. The message names the file.
        """
        dataset: Dataset[Any] = context.dataset(self.split)
        classes = Classes.of(dataset)
        files = _files(predictions, dataset)

        def predicted(scene: Scene) -> Indices:
            return self._read(files[scene.place], scene, classes)

        def count(place: int) -> tuple[int, Any]:
            scene = read_scene(dataset, place, classes)
            return place, confusion(scene.truth, predicted(scene), len(classes))

        tally = Tally(len(classes))
        places = range(len(dataset))
        for place, counted in in_order(count, places, workers=context.workers, ahead=AHEAD):
            tally.add(place, counted)
            context.progress("scoring", place + 1, len(dataset))
        return finish(tally, dataset, classes, predicted, context)

    def _read(self, path: Path, scene: Scene, classes: Classes) -> Indices:
        labels = read_index_map(path)
        if labels.shape != scene.truth.shape:
            raise errors.DatasetError(
                f"the prediction {str(path)!r} has another size than its image.",
                expected="{} x {} pixels (height x width)".format(*scene.truth.shape),
                found="{} x {}".format(*labels.shape),
                hint="write predictions at the size of the images",
            )
        known = range(len(classes)) if self.numbering == "from-zero" else classes.labels
        none = IGNORED if self.numbering == "from-zero" else 0
        unknown = sorted({*labels_in(labels)} - {*known, none})
        if unknown:
            raise errors.DatasetError(
                f"the prediction {str(path)!r} has labels that are no class.",
                expected=f"the labels of the {len(classes)} classes, {none} for none",
                found=errors.listed([str(label) for label in unknown]),
                hint="--numbering from-zero reads classes counted from 0",
            )
        if self.numbering == "labels":
            return classes.indices(labels)
        return np.where(labels == IGNORED, NONE, labels).astype(np.int16)


def _files(folder: Path, dataset: Dataset[Any]) -> list[Path]:
    """Return the file of each image, at any depth of the folder; all of them must be there."""
    found = {path.stem: path for path in sorted(folder.rglob("*.png"))}
    missing = [name for name in dataset.ids if Path(name).stem not in found]
    if missing:
        raise errors.DatasetError(
            f"{len(missing)} of {len(dataset)} images have no prediction in {str(folder)!r}.",
            expected="NAME.png for each image NAME",
            found=f"{len(found)} PNGs; without one: {errors.listed(missing)}",
        )
    return [found[Path(name).stem] for name in dataset.ids]
