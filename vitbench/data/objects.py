"""Images with their objects (kind `instances`): COCO's layout, or PASCAL VOC's."""

from pathlib import Path

from vitbench.data.annotated_images import AnnotatedImages
from vitbench.data.coco import open_coco
from vitbench.data.dataset import Reader
from vitbench.data.instances import Instances
from vitbench.data.voc_objects import is_voc_objects, open_voc_objects


def open_objects(root: Path, split: str) -> AnnotatedImages[Instances]:
    """Open one split.

    Raises:
        DatasetNotFound: There is no such split.
        DatasetError: An annotation can't be read, or contradicts itself.
    """
    return open_voc_objects(root, split) if is_voc_objects(root) else open_coco(root, split)


READER = Reader(
    open_objects,
    layout=(
        "annotations/instances_train2017.json, annotations/instances_val2017.json,"
        " train2017/NAME.jpg and val2017/NAME.jpg, as COCO",
        "Annotations/NAME.xml, ImageSets/Main/SPLIT.txt and JPEGImages/NAME.jpg, as PASCAL VOC",
    ),
)
