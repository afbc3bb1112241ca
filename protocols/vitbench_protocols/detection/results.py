"""Detections as COCO's results file has them: read, checked, written."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from vitbench.api import errors
from vitbench.kit import RunLengths, atomic, bounds, encode_runs, parsing, read_bytes
from vitbench_protocols.detection.truth import Truth

FARTHEST = bounds.FARTHEST_DETECTION
Place = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST)]
Length = Annotated[float, Field(ge=0, le=FARTHEST)]
Box = tuple[Place, Place, Length, Length]  # left, top, width, height, px


@dataclass(frozen=True, slots=True)
class Detected:
    """One entry of a results file; it has a box, a mask or both."""

    image_id: int
    category_id: int  # as in the annotation file
    score: FiniteFloat
    bbox: Box | None = None
    segmentation: RunLengths | None = None


RESULTS = TypeAdapter(list[Detected])


def read_results(path: Path, truth: Truth) -> list[Detected]:
    """Read a COCO results file.

    Raises:
        DatasetError: It is no results file, or of other images or categories than the truth, or
            its entries differ in what they hold. The message names the first of them.
    """
    if not path.is_file():
        raise errors.DatasetError(
            f"{str(path)!r} is no results file.",
            expected="a JSON list of detections, as COCO's server takes it",
            found="a folder" if path.is_dir() else "nothing there",
        )
    with parsing(f"the results file {str(path)!r}"):
        content = read_bytes(path, bounds.LARGEST_ANNOTATIONS)
    try:
        found = RESULTS.validate_json(content)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, detail['loc'])) or 'file'}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_input=False)[:3]
        ]
        raise errors.DatasetError(
            f"the results file {str(path)!r} can't be read as COCO's.",
            expected="a JSON list of objects with image_id, category_id, score, and bbox or "
            "segmentation (run lengths)",
            found="; ".join(problems),
        ) from error
    check_results(found, truth, str(path))
    return found


def check_results(found: Sequence[Detected], truth: Truth, name: str) -> None:
    """Check that detections belong to the truth's images and categories.

    Raises:
        DatasetError: They don't.
    """
    _check_known("image", {one.image_id for one in found}, truth.sizes, truth, name)
    used = {one.category_id for one in found}
    _check_known(
        "category", used, truth.categories, truth, name, hint=_counted_otherwise(used, truth)
    )
    for part in ("bbox", "segmentation"):
        without = [n for n, one in enumerate(found) if getattr(one, part) is None]
        if without and len(without) < len(found):
            raise errors.DatasetError(
                f"some entries of the results file {name!r} have no {part}.",
                expected=f"{part} in every entry, or in none",
                found=f"{len(without)} of {len(found)} without, the first at {without[0]}",
            )
    if found and found[0].bbox is None and found[0].segmentation is None:
        raise errors.DatasetError(
            f"the entries of the results file {name!r} have neither bbox nor segmentation.",
            expected="one of them, or both",
            found="image_id, category_id and score alone",
        )


def _check_known(
    what: str, used: set[int], known: Any, truth: Truth, name: str, *, hint: str = ""
) -> None:
    unknown = sorted(used - set(known))
    if unknown:
        raise errors.DatasetError(
            f"the results file {name!r} has {what} ids that the annotations of {truth.name} lack.",
            expected=f"the {len(known)} {what} ids of {truth.name}",
            found=f"{len(unknown)} others: {errors.listed([str(one) for one in unknown])}",
            hint=hint or "--split train, or the --data that the predictions were made on",
        )


def _counted_otherwise(used: set[int], truth: Truth) -> str:
    """Return a hint where category ids are those of a list counted from 0 or 1; else empty."""
    for first in (0, 1):
        if used <= {*range(first, first + len(truth.categories))}:
            number, name = next(iter(truth.categories.items()))
            return (
                f"if the ids count the categories from {first}, write those of the annotation file"
                f" instead: {number} ({name!r}) for {first}, and so on"
            )
    return ""


def runs_of(detection: Detected, truth: Truth) -> dict[str, Any]:
    """Return a detection's mask as compressed run lengths.

    Raises:
        DatasetError: They don't fit the image.
    """
    assert detection.segmentation is not None
    what = f"a detection in image {detection.image_id}"
    return encode_runs(what, detection.segmentation, *truth.sizes[detection.image_id])


def box_of(detection: Detected, truth: Truth) -> tuple[float, ...]:
    """Return a detection's box, or that around its mask: left, top, width, height, px.

    Raises:
        DatasetError: Its run lengths don't fit the image.
    """
    from pycocotools import mask as coco_mask

    if detection.bbox is not None:
        return detection.bbox
    return tuple(coco_mask.toBbox(runs_of(detection, truth)).tolist())


def write_results(detections: Iterable[Detected], path: Path) -> None:
    """Write detections as a results file that COCO's server takes."""
    entries = [
        {
            "image_id": one.image_id,
            "category_id": one.category_id,
            "bbox": one.bbox,
            "score": one.score,
            "segmentation": one.segmentation
            and {"size": list(one.segmentation.size), "counts": one.segmentation.counts},
        }
        for one in detections
    ]
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(entries, separators=(",", ":")), encoding="utf-8")
