"""The reader of clips: those of DAVIS, and those whose objects may appear later."""

from pathlib import Path

from vitbench.data.clips import LATE_OBJECTS, ClipDataset
from vitbench.data.dataset import Reader
from vitbench.data.davis import open_clips
from vitbench.data.youtube_vos import open_late_objects


def open_split(root: Path, split: str) -> ClipDataset:
    """Open the clips of one split; see `open_clips` and `open_late_objects`.

    Raises:
        DatasetNotFound: The root holds no clips, or not this split.
        DatasetError: A file is missing, unreadable, or not what it should be.
    """
    return (open_late_objects if split.startswith(LATE_OBJECTS) else open_clips)(root, split)


READER = Reader(
    open_split,
    splits=("val",),
    layout=(
        "JPEGImages/480p/CLIP/00000.jpg, Annotations/480p/CLIP/00000.png and"
        " ImageSets/2017/val.txt, as DAVIS",
        "valid/JPEGImages/CLIP/00000.jpg and valid/Annotations/CLIP/00000.png, as YouTube-VOS (with"
        " --late-objects; every frame needs a mask)",
    ),
)
