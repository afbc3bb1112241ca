"""`vitbench score coco`: AP of a COCO results file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from vitbench.api import (
    Context,
    MetricSpec,
    Outcome,
    setting,
)
from vitbench_protocols.detection.metrics import METRICS, Engine
from vitbench_protocols.detection.truth import Truth, open_instances


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoResults:
    """AP of the boxes and masks in a COCO results file, by COCO's own evaluation.

    Entries may have boxes, masks or both; masks alone give their boxes too. Images without a
    detection count, with nothing found in them.

    Source:
        cocodataset/cocoapi, PythonAPI/pycocotools/cocoeval.py.
    """

    name: ClassVar[str] = "coco"
    version: ClassVar[int] = 2
    data: ClassVar[Literal["instances"]] = "instances"
    default_data: ClassVar[str] = "coco"
    metrics: ClassVar[tuple[MetricSpec, ...]] = METRICS
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"coco": {}}

    preset_notes: ClassVar[Mapping[str, str]] = {"coco": "as COCO's own evaluation"}
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench score coco results.json --data coco",
        "vitbench score coco results.json --split train --data coco",
    )

    split: Literal["val", "train"] = setting("val", help="split of the images")
    engine: Engine = setting(
        "pycocotools", help="library that computes AP; both give the same numbers", identity=False
    )

    @property
    def splits(self) -> tuple[str, ...]:
        """The one split that is read."""
        return (self.split,)

    def run(self, predictions: Path, context: Context) -> Outcome:
        """Evaluate the file.

        Raises:
            DatasetError: It is no results file, or one of other images or categories.
        """
        from vitbench_protocols.detection.outcome import finish  # help does without all three
        from vitbench_protocols.detection.results import read_results
        from vitbench_protocols.detection.suspicions import suspicions

        dataset = open_instances(context, self.split)
        truth = Truth.of(dataset)
        detections = read_results(predictions, truth)
        for text in suspicions(detections, truth):
            context.note(text)
        return finish(detections, dataset, truth, context, self.engine)
