"""What every test may use: a private cache, small data, the real data when it is asked for."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vitbench.data.synthetic import NAME, VERSION

torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep the user's cache out of the tests; processes that a test starts inherit it.

    Each worker has its own. Only the built-in data, which nothing changes once it is drawn, is
    common to the workers of one run: every cache holds a link to it.
    """
    base = tmp_path_factory.getbasetemp()
    folder = base / "vitbench-cache"
    folder.mkdir()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = base.parent / "built-in-data"
        common.mkdir(exist_ok=True)
        (folder / f"{NAME}-v{VERSION}").symlink_to(common)
    os.environ["VITBENCH_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder with the real files; a test that uses it is marked `data`."""
    return Path(os.environ["VITBENCH_DATA"])


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return classification folders: 3 classes of a color each, 8 train and 4 val images."""
    root = tmp_path_factory.mktemp("folders")
    generator = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for number, name in enumerate(("blue", "green", "red")):
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 120, (40, 48, 3), dtype=np.uint8)
                pixels[..., 2 - number] += 100
                Image.fromarray(pixels).save(root / split / name / f"{index}.png")
    return root


@pytest.fixture(scope="session")
def undecided(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return these folders with every val image in every class: a third of answers is right."""
    root = tmp_path_factory.mktemp("undecided")
    (root / "train").symlink_to(folders / "train")
    for name in ("blue", "green", "red"):
        (root / "val" / name).mkdir(parents=True)
        for path in (folders / "val").rglob("*.png"):
            shutil.copy(path, root / "val" / name / f"{path.parent.name}-{path.name}")
    return root
