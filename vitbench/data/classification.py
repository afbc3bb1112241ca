"""Images of one class each, in any of the layouts that are known: the layout is recognized."""

from pathlib import Path

from vitbench.data import parquet_images, shard_images
from vitbench.data.classified import ClassifiedImages
from vitbench.data.dataset import Reader
from vitbench.data.folders import open_folders
from vitbench.data.parquet_images import scan_parquet
from vitbench.data.shard_images import scan_shards
from vitbench.data.split_folders import names_of, split_files
from vitbench.data.stored import Scanner, open_stored

STORED: dict[str, Scanner] = {
    shard_images.SUFFIX: scan_shards,
    parquet_images.SUFFIX: scan_parquet,
}


def open_classification(root: Path, split: str) -> ClassifiedImages:
    """Open one split of images with a class each: class folders, shards, or Parquet files.

    Raises:
        DatasetNotFound: There is no such split.
        DatasetError: What is there is broken, or its classes can't be told.
    """
    for name in names_of(split):
        for suffix, scan in STORED.items():
            if split_files(root, name, suffix):
                return open_stored(root, split, name, suffix, scan)
        if (root / name).is_dir():
            break
    return open_folders(root, split)


READER = Reader(
    open_classification,
    layout=(
        "train/CLASS/NAME.jpg and val/CLASS/NAME.jpg (val may be called validation, valid or test)",
        "train-000.tar, val-000.tar: WebDataset shards of NAME.jpg with NAME.cls or NAME.json",
        "train-000.parquet, …: Parquet files of the Hugging Face Hub",
        "train/CLASS/NAME.jpg and a flat val/ with ImageNet's ground truth beside it",
    ),
)
