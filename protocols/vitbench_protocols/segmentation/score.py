"""`vitbench score segmentation`: mIoU of label files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vitbench.api import (
    Context,
    MetricSpec,
    Outcome,
    errors,
    setting,
)
from vitbench.kit import in_order, labels_in, read_index_map
from vitbench_protocols.segmentation.classes import (
    FIRST_LABEL,
    HIGHEST,
    NONE,
    VOID,
    Classes,
    Indices,
    open_maps,
)
from vitbench_protocols.segmentation.outcome import finish
from vitbench_protocols.segmentation.prediction_files import prediction_files
from vitbench_protocols.segmentation.scenes import Scene, read_scene
from vitbench_protocols.segmentation.scores import METRICS, Counts, Tally, confusion

Numbering = Literal["labels", "from-zero"]

IGNORED = 255  # no class, in predictions
AHEAD = 8
NEVER = -np.inf  # right pixels where a numbering does not know the labels
FAR, SENSIBLE = 2, 0.2  # times as many right pixels, and their share, that are worth a note


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationMaps:
    """mIoU of a folder of index maps: one PNG for each image, with its name and its size.

    A pixel without a prediction (a void label) is wrong wherever the truth has a class. Where 0 is
    a class, as in VOC and Cityscapes, the class list says so (`0: background`), or the flags
    `--first-label 0 --void 255`.

    Source:
        mmsegmentation 0.x, core/evaluation/metrics.py, intersect_and_union and mean_iou.
    """

    name: ClassVar[str] = "segmentation"
    version: ClassVar[int] = 2
    data: ClassVar[Literal["semantic"]] = "semantic"
    default_data: ClassVar[str] = "ade20k"
    metrics: ClassVar[tuple[MetricSpec, ...]] = METRICS
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "labels": {},
        "from-zero": {"numbering": "from-zero"},
    }

    preset_notes: ClassVar[Mapping[str, str]] = {
        "labels": "predictions hold the labels of the data's own files",
        "from-zero": "predictions number the classes from 0, as mmsegmentation writes them",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench score segmentation maps/ --data ade20k",
        "vitbench score segmentation maps/ --preset from-zero --data ade20k",
    )

    split: Literal["val", "train"] = setting("val", help="split of the images")
    numbering: Numbering = setting(
        "labels",
        help="numbers in the predictions: the labels of the data's own files, or classes counted"
        " from 0, with 255 for none",
    )
    first_label: int | None = setting(None, help=FIRST_LABEL, minimum=0)
    void: tuple[int, ...] = setting((), help=VOID, minimum=0, maximum=HIGHEST)

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
        dataset = open_maps(context, self.split)
        classes = Classes.of(dataset, self.first_label, self.void)
        files = prediction_files(predictions, dataset)

        def predicted(scene: Scene) -> Indices:
            return self._read(files[scene.place], scene, classes)[0].classes

        def count(place: int) -> tuple[int, Counts, float]:
            scene = read_scene(dataset, place, classes)
            found, other = self._read(files[place], scene, classes)
            counted = confusion(scene.truth, found.classes, len(classes))
            return place, counted, NEVER if other.unknown else right(scene, other)

        tally, otherwise = Tally(len(classes)), 0.0
        places = range(len(dataset))
        counts = in_order(count, places, workers=context.workers, ahead=AHEAD)
        for place, counted, elsewhere in counts:
            tally.add(place, counted)
            otherwise += elsewhere
            context.progress("scoring", place + 1, len(dataset), "images")
        self._compare(tally, otherwise, context)
        return finish(tally, dataset, classes, predicted, context)

    def _read(self, path: Path, scene: Scene, classes: Classes) -> tuple["Read", "Read"]:
        """Return a prediction, and as the other numbering reads it."""
        labels = read_index_map(path)
        if labels.shape != scene.truth.shape:
            raise errors.DatasetError(
                f"the prediction {str(path)!r} has another size than its image.",
                expected="{} x {} pixels (height x width)".format(*scene.truth.shape),
                found="{} x {}".format(*labels.shape),
                hint="write predictions at the size of the images",
            )
        found, other = (read(labels, classes, way) for way in (self.numbering, self._other))
        if found.unknown:
            other_fits = not other.unknown and right(scene, other) > right(scene, found)
            raise errors.DatasetError(
                f"the prediction {str(path)!r} has labels that are no class.",
                expected=f"labels of the {len(classes)} classes, {found.first} to {found.last}",
                found=errors.listed([str(label) for label in found.unknown]),
                hint=f"--numbering {self._other}"
                if other_fits
                else "write the labels that the data's own label files have",
            )
        return found, other

    @property
    def _other(self) -> Numbering:
        return "from-zero" if self.numbering == "labels" else "labels"

    def _compare(self, tally: Tally, otherwise: float, context: Context) -> None:
        """Note if the other numbering makes far more pixels right."""
        labeled = int(tally.total.sum())
        own = int(tally.total[:, :-1].trace())
        if otherwise > max(FAR * own, SENSIBLE * labeled):
            context.note(
                f"{own / labeled:.1%} of the labeled pixels are right, but "
                f"{otherwise / labeled:.1%} with --numbering {self._other}"
            )


@dataclass(frozen=True, slots=True)
class Read:
    """A prediction's labels as one numbering reads them."""

    classes: Indices
    unknown: list[int]  # labels that it does not know
    first: int
    last: int


def read(labels: NDArray[np.int32], classes: Classes, numbering: Numbering) -> Read:
    """Turn a prediction's labels into class indices, what is no class into NONE."""
    if numbering == "labels":
        known, none = classes.labels, {*classes.void, 0, IGNORED}
        indices = classes.indices(labels)
    else:
        known, none = tuple(range(len(classes))), {IGNORED}
        indices = np.where(labels < len(classes), labels, NONE).astype(np.int16)
    unknown = sorted({*labels_in(labels)} - none - {*known})
    return Read(indices, unknown, known[0], known[-1])


def right(scene: Scene, prediction: Read) -> int:
    """Count the labeled pixels whose class is predicted."""
    return int(np.count_nonzero((scene.truth == prediction.classes) & (scene.truth != NONE)))
