"""Images with their objects (kind `instances`): COCO's layout, or PASCAL VOC's."""

from pathlib import Path

from vitbench.data.coco import CocoDataset, open_coco
from vitbench.data.dataset import Reader
from vitbench.data.voc_objects import is_voc_objects, open_voc_objects


def open_objects(root: Path, split: str) -> CocoDataset:
    """Open one split.

    Raises:
        DatasetNotFound: There is no such split.
        DatasetError: An annotation can't be read, or contradicts itself.
    """
    return open_voc_objects(root, split) if is_voc_objects(root) else open_coco(root, split)


READER = Reader(open_objects)
