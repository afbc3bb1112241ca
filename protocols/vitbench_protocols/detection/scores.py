"""AP of boxes and masks by COCO's own evaluation, and what is kept of each image."""

import contextlib
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench.api import Score, errors
from vitbench.kit import atomic
from vitbench_protocols.detection.matching import THRESHOLDS, match
from vitbench_protocols.detection.metrics import KINDS, LEVELS, Engine
from vitbench_protocols.detection.results import Detected, box_of, runs_of
from vitbench_protocols.detection.truth import Kind, Truth

TYPES = {"box": "bbox", "mask": "segm"}
LIMIT = 100  # detections of a category in an image
LARGEST = 1e10  # square pixels of an object that counts
Entry = dict[str, Any]  # of one object or detection, as COCO's code wants it


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The results of COCO's evaluation for boxes or for masks."""

    precision: NDArray[np.float64]  # (10 IoUs, 101 recalls, categories, 4 areas); -1: no objects
    items: dict[str, NDArray[Any]]  # see `vitbench.score_statistics`

    def ap(self, ious: slice, area: int, category: int | None = None) -> float | None:
        """Return a mean of precisions, percent; None where there is nothing to be found."""
        chosen = self.precision[ious, ..., area]
        if category is not None:
            chosen = chosen[..., category]
        known = chosen[chosen > -1]
        return 100 * float(known.mean()) if known.size else None


def evaluate_kind(
    truth: Truth, detections: Sequence[Detected], kind: Kind, engine: Engine = "pycocotools"
) -> Evaluated:
    """Evaluate boxes or masks.

    Args:
        truth: The objects.
        detections: In any order; boxes alone, masks alone or both.
        kind: What of them.
        engine: Whose code; the numbers are the same.

    Raises:
        MissingDependency: The engine is not installed.
        DatasetError: Run lengths don't fit their image.

    Differs:
        A mask is small, medium or large by its own area. COCO's code takes that of the box where
        an entry has both, as Detectron2 and mmdetection note too. Objects are numbered anew: in
        COCO's code one with the id 0 is never found.
    """
    coco, evaluation = _engine(engine)
    objects, entries = truth.annotations(kind), _entries(truth, detections, kind)
    with contextlib.redirect_stdout(io.StringIO()):
        found = evaluation(
            _indexed(coco, truth.document(objects)),
            _indexed(coco, truth.document(entries)),
            TYPES[kind],
        )
        found.evaluate()
        found.accumulate()
    return Evaluated(
        found.eval["precision"][..., -1], _kept(truth, objects, entries, found.ious, kind)
    )


def _engine(name: Engine) -> tuple[Any, Any]:
    if name == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        return COCO, COCOeval
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise errors.MissingDependency(
            "faster-coco-eval", needed_for="--engine faster-coco-eval", extra="coco"
        ) from error
    return COCO, COCOeval_faster


def _indexed(coco: Any, document: dict[str, Any]) -> Any:
    made = coco()
    made.dataset = document
    made.createIndex()
    return made


def _entries(truth: Truth, detections: Sequence[Detected], kind: Kind) -> list[Entry]:
    """Return detections as COCO's loader would make them of a file with this kind alone."""
    from pycocotools import mask as coco_mask

    made: list[tuple[Entry, float]] = []
    for one in detections:
        if kind == "mask":  # one by one: pycocotools 2.0.11 can't take 256 at once
            runs = runs_of(one, truth)
            made.append(({"segmentation": runs}, coco_mask.area(runs)))
        else:
            box = list(box_of(one, truth))
            made.append(({"bbox": box}, box[2] * box[3]))
    return [
        {
            "id": number,
            "image_id": one.image_id,
            "category_id": one.category_id,
            "score": one.score,
            "area": float(area),
            "iscrowd": 0,
            **shape,
        }
        for number, (one, (shape, area)) in enumerate(zip(detections, made, strict=True), start=1)
    ]


def _kept(
    truth: Truth,
    objects: Sequence[Entry],
    entries: Sequence[Entry],
    ious: Mapping[tuple[int, int], Any],
    kind: Kind,
) -> dict[str, NDArray[Any]]:
    """Keep what AP on any resample of the images is formed of."""
    places = {number: place for place, number in enumerate(truth.image_ids)}
    columns = {number: column for column, number in enumerate(truth.categories)}
    there, found = _grouped(objects), _grouped(entries)
    truths = np.zeros((len(places), len(columns)), np.int64)
    for (image, category), group in there.items():
        truths[places[image], columns[category]] = np.count_nonzero(~_ignored(group))
    keys = sorted(found, key=lambda key: (places[key[0]], columns[key[1]]))
    parts = []
    for key in keys:
        group = there.get(key, [])
        scores = np.sort(np.array([one["score"] for one in found[key]]))[::-1][:LIMIT]
        table = np.asarray(ious[key], dtype=np.float64).reshape(len(scores), len(group))
        crowd = np.array([one["iscrowd"] for one in group], dtype=bool)
        parts.append((scores, match(table, _ignored(group), crowd)))
    counts = [len(scores) for scores, _ in parts]
    none = np.zeros((0, len(THRESHOLDS)), bool)
    kept = {
        "image": np.repeat([places[image] for image, _ in keys], counts).astype(np.int64),
        "category": np.repeat([columns[category] for _, category in keys], counts).astype(np.int64),
        "score": np.concatenate([np.zeros(0), *(scores for scores, _ in parts)]),
        "matched": np.concatenate([none, *(each.matched for _, each in parts)]),
        "ignored": np.concatenate([none, *(each.ignored for _, each in parts)]),
        "truths": truths,
    }
    return {f"{kind}_{name}": values for name, values in kept.items()}


def _grouped(entries: Sequence[Entry]) -> dict[tuple[int, int], list[Entry]]:
    groups: dict[tuple[int, int], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry["image_id"], entry["category_id"]), []).append(entry)
    return groups


def _ignored(objects: Sequence[Entry]) -> NDArray[np.bool_]:
    """Tell which objects need not be found: crowds, and what has no sensible area."""
    return np.array(
        [bool(one["iscrowd"]) or not 0 <= one["area"] <= LARGEST for one in objects], dtype=bool
    )


def summarize(found: Mapping[Kind, Evaluated], images: int) -> tuple[Score, ...]:
    """Return the scores of all images together; None for what was not evaluated."""
    return tuple(
        Score(
            f"{name}_{kind}",
            found[kind].ap(ious, area) if kind in found else None,
            images,
        )
        for kind in KINDS
        for name, _, ious, area in LEVELS
    )


def write_categories(found: Mapping[Kind, Evaluated], truth: Truth, path: Path) -> None:
    """Write the table of categories: objects, images that show any, and each AP in percent."""
    columns = [(kind, name, ious, area) for kind in found for name, _, ious, area in LEVELS]
    counted = next(iter(found.values())).items
    truths = counted[f"{next(iter(found))}_truths"]
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        names = [f"{name}_{kind}" for kind, name, _, _ in columns]
        writer.writerow(["category", "name", "objects", "images", *names])
        for column, (number, label) in enumerate(truth.categories.items()):
            scores = [found[kind].ap(ious, area, column) for kind, _, ious, area in columns]
            writer.writerow(
                [
                    number,
                    label,
                    truths[:, column].sum(),
                    np.count_nonzero(truths[:, column]),
                    *("" if score is None else f"{score:.2f}" for score in scores),
                ]
            )
