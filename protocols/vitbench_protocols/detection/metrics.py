"""The levels of AP that are reported for boxes and for masks."""

from typing import Literal

from vitbench.api import MetricSpec
from vitbench_protocols.detection.truth import Kind

Engine = Literal["pycocotools", "faster-coco-eval"]
KINDS: tuple[Kind, ...] = ("box", "mask")
# name, label, its IoUs, its areas
LEVELS = (
    ("ap", "AP", slice(0, 10), 0),
    ("ap50", "AP50", slice(0, 1), 0),
    ("ap75", "AP75", slice(5, 6), 0),
    ("aps", "AP small", slice(0, 10), 1),
    ("apm", "AP medium", slice(0, 10), 2),
    ("apl", "AP large", slice(0, 10), 3),
)
METRICS = tuple(
    MetricSpec(f"{name}_{kind}", f"{label} {kind}", primary=(name, kind) == ("ap", "box"))
    for kind in KINDS
    for name, label, _, _ in LEVELS
)
