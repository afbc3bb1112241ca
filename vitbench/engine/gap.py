"""How much a classifier loses on a second data set: its gap to `val`, in pairs."""

from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from vitbench.data.classified import QUERIES
from vitbench.data.kinds import ClassificationDataset, Dataset
from vitbench.engine.protocol import Context, Score
from vitbench.records import MetricSpec

GAP_METRICS = (
    MetricSpec("clean_top1", "top-1 of val", always=False),
    MetricSpec("gap", "gap to val", higher_is_better=False, always=False),
)

Values = NDArray[np.float64]


def splits_with(queries: str) -> tuple[str, ...]:
    """Return the splits of a classifier: `train`, `val`, and the second set if one is named."""
    return ("train", "val", QUERIES) if queries else ("train", "val")


def competing(context: Context) -> NDArray[np.int64]:
    """Return the classes that the second set has images of: those that compete for its images."""
    return np.unique(np.asarray(_classified(context.dataset(QUERIES)).targets, dtype=np.int64))


def gap_scores(clean: Values, moved: Values, context: Context) -> tuple[Score, Score]:
    """Score `val` on what the second set has too, and the gap between both.

    Where every image of the second set is one of `val`, as in ImageNet-C, the gap is paired by
    image; else by class: classes are resampled, with their images of both sets.

    Args:
        clean: Score of each image of `val`, percent.
        moved: Of each image of the second set.
        context: Of the run.

    Returns:
        `clean_top1`: over the images of val that are in the second set, else over those of its
        classes. `gap`: that minus the score of the second set. Both with their intervals.
    """
    from vitbench.bootstrap import mean_interval, paired_mean  # help does without

    val, queries = (_classified(context.dataset(split)) for split in ("val", QUERIES))
    place = {_image(name): number for number, name in enumerate(val.ids)}
    if all(_image(name) in place for name in queries.ids):
        own = clean[[place[_image(name)] for name in queries.ids]]
        context.note("the gap to val is paired by image")
        found = paired_mean(own, moved, seed=context.seed)
        ends = (found.low, found.high) if found else None
    else:
        classes = competing(context)
        rows = np.isin(val.targets, classes)
        own = clean[rows]
        context.note(f"the gap to val is paired by class, {len(classes)} of them")
        targets = (np.asarray(val.targets)[rows], np.asarray(queries.targets))
        ends = _class_interval((own, moved), targets, seed=context.seed)
    top1 = float(own.mean()) if len(own) else None
    gap = top1 - float(moved.mean()) if top1 is not None else None
    return (
        Score("clean_top1", top1, len(own), mean_interval(own, seed=context.seed)),
        Score("gap", gap, len(moved), ends),
    )


def _class_interval(
    values: tuple[Values, Values],
    targets: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    seed: int,
) -> tuple[float, float] | None:
    """Return the interval of the difference of two means when classes are drawn."""
    from vitbench.bootstrap import RESAMPLES, interval, resampled

    both = np.union1d(*targets)
    if len(both) < 2:
        return None
    sums, counts = (
        [
            np.bincount(np.searchsorted(both, of), weights=weights, minlength=len(both))
            for of, weights in zip(targets, parts, strict=True)
        ]
        for parts in (values, (None, None))
    )

    def difference(drawn: Values) -> Values:
        one, other = (drawn @ total / (drawn @ n) for total, n in zip(sums, counts, strict=True))
        found: Values = one - other
        return found

    with np.errstate(invalid="ignore"):  # no class with an image of val was drawn
        drawn = resampled(difference, len(both), RESAMPLES, seed=seed)
    drawn = drawn[~np.isnan(drawn)]
    return interval(drawn, len(both)) if len(drawn) else None


def _classified(dataset: Dataset[object]) -> ClassificationDataset:
    assert isinstance(dataset, ClassificationDataset), f"{dataset.info.kind} without classes"
    return dataset


def _image(name: str) -> str:
    """Return what an image is called in every set that holds it: class and name, no ending."""
    path = PurePosixPath(name)
    return str(PurePosixPath(*path.parts[1:]).with_suffix("")) if len(path.parts) > 1 else name
