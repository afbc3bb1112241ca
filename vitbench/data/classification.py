"""Images of one class each, in any of the layouts that are known: the layout is recognised."""

from pathlib import Path

from vitbench.data.classified import ClassifiedImages
from vitbench.data.dataset import Reader
from vitbench.data.folders import open_folders


def open_classification(root: Path, split: str) -> ClassifiedImages:
    """Open one split of images with a class each.

    Raises:
        DatasetNotFound: There is no such split.
        DatasetError: What is there is broken, or its classes can't be told.
    """
    return open_folders(root, split)


READER = Reader(open_classification)
