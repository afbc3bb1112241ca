"""Families of protocols, and which runs are no contestants."""

from typing import Final, Literal

from vitbench.records import Subject
from vitbench.reports.leaderboard import Entry, Leaderboard

Family = Literal["image-level", "dense", "video", "fine-tuned", "label-free", "cost"]
FAMILIES: Final[tuple[Family, ...]] = (
    "image-level",
    "dense",
    "video",
    "fine-tuned",
    "label-free",
    "cost",
)
JUDGED = FAMILIES[:4]  # that a verdict counts: how well features serve a task
BY_PROTOCOL: Final[dict[str, Family]] = {
    "adjacency": "dense",
    "attentive-probe": "image-level",
    "correspondence": "dense",
    "davis": "video",
    "depth": "dense",
    "detection": "fine-tuned",
    "coco": "fine-tuned",
    "discovery": "dense",
    "feature-pca": "label-free",
    "health": "label-free",
    "knn": "image-level",
    "layers": "label-free",  # which block is best, of whatever protocol: no contest of its own
    "linear-probe": "image-level",
    "logistic": "image-level",
    "profile": "cost",
    "retrieval": "image-level",
    "segmentation": "dense",
}
BY_KIND: Final[dict[str, Family]] = {"clips": "video", "semantic": "dense", "instances": "dense"}
FINE_TUNING = ("semfpn", "upernet")  # presets of `segmentation` that train the backbone
FLOORS = ("random", "pixels")  # methods that no features were learned by


def family(board: Leaderboard) -> Family:
    """Return the family of a board; an unknown protocol's is that of its kind of data."""
    protocol = board.protocol
    method = protocol.settings.get("method")
    tuned = isinstance(method, dict) and method.get("kind") == "FineTune"
    if protocol.name == "segmentation" and (tuned or protocol.preset.startswith(FINE_TUNING)):
        return "fine-tuned"
    return BY_PROTOCOL.get(protocol.name) or BY_KIND.get(board.dataset.kind, "image-level")


def is_floor(subject: Subject) -> bool:
    """Tell whether a subject has learned nothing: random weights, or the pixels themselves."""
    return subject.method in FLOORS or subject.name.partition(":")[0] in FLOORS


def is_contestant(entry: Entry) -> bool:
    """Tell whether a verdict is about a run: it was measured, and is neither truth nor floor."""
    subject = entry.record.subject
    return not entry.published and subject.kind != "ground-truth" and not is_floor(subject)
