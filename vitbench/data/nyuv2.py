"""NYU Depth v2's labeled images, taken out of MATLAB's files: folders that the depth reader opens.

    nyu_depth_v2_labeled.mat   HDF5: images (1449, 3, 640, 480) uint8, and rawDepths
                               (1449, 640, 480) float32 in meters, 0 where the sensor saw none
    splits.mat                 numbers from 1: trainNdxs (795, 1), testNdxs (654, 1)

Columns of an image come before its rows.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench.data.synthetic.png import write_png
from vitbench.errors import DatasetError, MissingDependency
from vitbench.outside_files import check_regular, parsing

LABELED, SPLITS = "nyu_depth_v2_labeled.mat", "splits.mat"
NUMBERS = {"train": "trainNdxs", "val": "testNdxs"}  # by the names of our folders
MILLIMETERS, FARTHEST = 1000, 65535
EXPECTED = "the labeled data set as its authors give it: vitbench data get nyuv2"

Progress = Callable[[str, int, int], object]  # split, images done, of so many


def convert_nyuv2(
    source: Path, target: Path, progress: Progress = lambda *_: None
) -> dict[str, int]:
    """Write train/ and val/ (the 654 test images), each with images/ and depth/ as PNG.

    Depths are those of the sensor, not the inpainted ones, in millimeters.

    Args:
        source: Folder that holds both files.
        target: Folder that train/ and val/ are written to.
        progress: Told after every image.

    Returns:
        Images by split.

    Raises:
        MissingDependency: h5py is not installed.
        DatasetError: A file can't be read, its arrays do not fit together, or a split is there.
    """
    for split in NUMBERS:
        if (target / split).exists():
            raise DatasetError(
                f"{str(target / split)!r} is there already.",
                expected="a folder without train/ and val/",
                hint="give another folder, or remove it",
            )
    numbers = _splits(source / SPLITS)
    with parsing(f"{str(source / LABELED)!r}", expected=EXPECTED):
        check_regular(source / LABELED)
        with _h5py().File(source / LABELED, "r") as arrays:
            images, depths = (_own(arrays, name) for name in ("images", "rawDepths"))
            _check(images, depths, numbers)
            for split, chosen in numbers.items():
                _write(images, depths, chosen, target / split, progress)
    return {split: len(chosen) for split, chosen in numbers.items()}


def _splits(path: Path) -> dict[str, NDArray[np.int64]]:
    """Return the numbers of images from 0, by split."""
    from scipy.io import loadmat

    with parsing(f"the list of splits {str(path)!r}", expected=EXPECTED):
        check_regular(path)
        found = loadmat(path, variable_names=[*NUMBERS.values()])
        return {
            split: np.asarray(found[name], dtype=np.int64).ravel() - 1
            for split, name in NUMBERS.items()
        }


def _own(arrays: Any, name: str) -> Any:
    """Return an array that lies in the file itself: HDF5 can lead to any other file.

    Raises:
        ValueError: It lies elsewhere.
    """
    import h5py

    link = arrays.get(name, getlink=True)
    if isinstance(link, h5py.HardLink):
        found = arrays[name]
        if isinstance(found, h5py.Dataset) and not found.external and not found.is_virtual:
            return found
    raise ValueError(f"{name} is no array of this file")


def _check(images: Any, depths: Any, numbers: dict[str, NDArray[np.int64]]) -> None:
    """Refuse arrays of other shapes, and numbers of images that are not there.

    Raises:
        ValueError: Says what is wrong.
    """
    if images.ndim != 4 or images.shape[1] != 3 or images.dtype != np.uint8:
        raise ValueError(f"images are {images.dtype} {images.shape}, not uint8 (n, 3, w, h)")
    if depths.shape != (images.shape[0], *images.shape[2:]) or depths.dtype.kind != "f":
        raise ValueError(f"rawDepths are {depths.dtype} {depths.shape}, images {images.shape}")
    for name, chosen in numbers.items():
        if not len(chosen) or chosen.min() < 0 or chosen.max() >= len(images):
            raise ValueError(f"{name} numbers images not among {len(images)}")


def _write(
    images: Any, depths: Any, chosen: NDArray[np.int64], folder: Path, progress: Progress
) -> None:
    """Write a split under a temporary name, then rename it."""
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for done, number in enumerate(chosen.tolist(), start=1):
        meters = np.nan_to_num(depths[number].T)
        depth = np.clip(np.round(MILLIMETERS * meters), 0, FARTHEST).astype(np.uint16, order="C")
        name = f"{number + 1:04}.png"
        write_png(unfinished / "images" / name, np.ascontiguousarray(images[number].T))
        write_png(unfinished / "depth" / name, depth)
        progress(folder.name, done, len(chosen))
    unfinished.rename(folder)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingDependency("h5py", needed_for="reading NYUv2's .mat", extra="nyuv2") from error
    return h5py
