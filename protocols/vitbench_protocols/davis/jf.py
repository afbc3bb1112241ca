"""J and F of predicted object masks: overlap in area, and match of outlines."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]  # (H, W); binary masks hold 0 and 1, label maps object numbers
Values = NDArray[np.float64]

TOLERANCE = 0.008  # of the frame's diagonal


@dataclass(frozen=True, slots=True)
class Statistics:
    """One measure of one object over the frames of a clip, as fractions."""

    mean: float
    recall: float  # frames above 0.5
    decay: float  # first quarter minus last quarter; lower is better
    decay_uint8: float  # the official evaluator's, which goes wrong beyond 256 frames


def score_frame(truth: Mask, predicted: Mask, objects: int) -> tuple[Values, Values]:
    """Score one frame: J and F of each object.

    Everything is counted inside the box that holds the object in either mask, with a margin
    of one pixel: outside it both masks and both outlines are empty.

    Args:
        truth: Label map, shape (H, W). Labels above `objects` count as background, void too.
        predicted: Label map, shape (H, W).
        objects: Objects to score, numbered 1 to `objects`.

    Returns:
        J and F, each of shape (objects,), 0 to 1, best 1.

    Source:
        Perazzi et al., DAVIS, CVPR 2016, section 4. Reference:
        davisvideochallenge/davis2017-evaluation, davis2017/metrics.py (ac7c43f).
    """
    radius = tolerance_px(*truth.shape)
    region, outline = np.empty(objects), np.empty(objects)
    for index in range(objects):
        true, found = _cut(truth == index + 1, predicted == index + 1)
        region[index] = region_similarity(true, found)
        outline[index] = boundary_measure(true, found, radius=radius)
    return region, outline


def tolerance_px(height: int, width: int) -> int:
    """Return how far apart two outlines may lie and still match, in pixels (8 at 480x854)."""
    return math.ceil(TOLERANCE * math.hypot(height, width))


def region_similarity(truth: Mask, predicted: Mask) -> float:
    """Return J, the intersection over the union of two binary masks; 1 if both are empty."""
    union = np.count_nonzero(truth | predicted)
    return np.count_nonzero(truth & predicted) / union if union else 1.0


def boundary_measure(truth: Mask, predicted: Mask, *, radius: int) -> float:
    """Return F, the harmonic mean of precision and recall of the outlines.

    An outline pixel counts as found if the other outline has a pixel within the radius.
    Two empty outlines score 1, one empty outline 0. A mask that fills the frame has an empty
    outline.

    Args:
        truth: Binary mask, shape (H, W).
        predicted: Binary mask, shape (H, W).
        radius: Tolerance in pixels.
    """
    true_line, found_line = boundary(truth), boundary(predicted)
    true_count, found_count = np.count_nonzero(true_line), np.count_nonzero(found_line)
    if not true_count or not found_count:
        return float(true_count == found_count)
    precision = np.count_nonzero(found_line & _grown(true_line, radius)) / found_count
    recall = np.count_nonzero(true_line & _grown(found_line, radius)) / true_count
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary(mask: Mask) -> Mask:
    """Return the outline of a binary mask: pixels unlike their east, south or south-east one.

    The last row looks east only and the last column south only, so the corner is never part.
    """
    line = np.zeros_like(mask)
    here = mask[:-1, :-1]
    line[:-1, :-1] = (here ^ mask[:-1, 1:]) | (here ^ mask[1:, :-1]) | (here ^ mask[1:, 1:])
    line[-1, :-1] = mask[-1, :-1] ^ mask[-1, 1:]
    line[:-1, -1] = mask[:-1, -1] ^ mask[1:, -1]
    return line


def statistics(values: Values) -> Statistics:
    """Summarize one object's J or F over the scored frames of a clip, shape (frames,).

    Differs:
        `decay` splits clips of any length; the official evaluator holds frame numbers in
        eight bits (`decay_uint8`), so beyond 256 frames its decay is wrong or not a number.

    Source:
        davisvideochallenge/davis2017-evaluation, davis2017/utils.py, db_statistics (ac7c43f).
    """
    edges = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(np.int64) - 1
    return Statistics(
        mean=float(values.mean()),
        recall=float((values > 0.5).mean()),
        decay=_decay(values, edges),
        decay_uint8=_decay(values, edges % 256),
    )


def _decay(values: Values, edges: NDArray[np.int64]) -> float:
    first, last = values[edges[0] : edges[1] + 1], values[edges[3] : edges[4] + 1]
    return float(first.mean() - last.mean()) if len(first) and len(last) else math.nan


def _cut(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> tuple[Mask, Mask]:
    """Cut two masks to the box that holds both, one pixel wider where the frame allows it."""
    import cv2

    true, found = truth.view(np.uint8), predicted.view(np.uint8)
    boxes = [box for mask in (true, found) if (box := cv2.boundingRect(mask))[2]] or [(0, 0, 1, 1)]
    left, top = min(x for x, _, _, _ in boxes), min(y for _, y, _, _ in boxes)
    right, bottom = max(x + w for x, _, w, _ in boxes), max(y + h for _, y, _, h in boxes)
    cut = (slice(max(top - 1, 0), bottom + 1), slice(max(left - 1, 0), right + 1))
    return true[cut], found[cut]


def _grown(line: Mask, radius: int) -> Mask:
    """Return the pixels within the radius of an outline."""
    import cv2

    offsets = np.arange(-radius, radius + 1)
    disk = offsets[:, None] ** 2 + offsets**2 <= radius**2
    return cv2.dilate(line, disk.view(np.uint8)).astype(np.uint8, copy=False)
