"""Sets of torchvision and of the Hugging Face Hub, by stand-ins: no test needs the internet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torchvision.datasets
from PIL import Image

from vitbench.data.dataset import open_dataset
from vitbench.errors import DatasetError, DatasetNotFound, UnknownName


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Small:
    """A set as torchvision has them: three images of one color a split."""

    classes = ("ant", "bee", "cow")
    opened = 0

    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        assert download
        type(self).opened += 1
        self.train = train

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        pixels = np.full((8, 8, 3), 100 * self.train + index, np.uint8)
        return Image.fromarray(pixels), index


class Split(Small):
    def __init__(self, root: str, split: str = "train", download: bool = False) -> None:
        if split not in ("trainval", "test"):
            raise ValueError(f"no split {split}")
        super().__init__(root, split == "trainval", download)


class Offline(Small):
    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        raise OSError("no route to host")


class Boxes(Small):
    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return super().__getitem__(index)[0], {"boxes": []}


@pytest.mark.parametrize("stand_in", [Small, Split])
def test_a_set_of_torchvision_is_read_with_its_pixels_and_fetched_once(
    monkeypatch: pytest.MonkeyPatch, stand_in: type[Small]
) -> None:
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", stand_in)
    monkeypatch.setattr(stand_in, "opened", 0)
    for _ in range(2):
        for split, value in (("val", 0), ("train", 100)):
            found = open_dataset("torchvision:CIFAR10", "classification", split)
            assert (found.info.name, found.class_names) == ("CIFAR10", ("ant", "bee", "cow"))
            assert list(found.targets) == [0, 1, 2]
            pixels = [np.asarray(found[place].image) for place in range(3)]
            assert [int(image.min()) for image in pixels] == [value + place for place in range(3)]
    assert stand_in.opened == 2


@pytest.mark.parametrize(
    ("stand_in", "told"), [(Offline, "no route to host"), (Boxes, "no classified images")]
)
def test_a_set_of_torchvision_that_cannot_be_read_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, cache: Path, stand_in: type[Small], told: str
) -> None:
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", stand_in)
    with pytest.raises(DatasetError, match=told):
        open_dataset("torchvision:CIFAR10", "classification", "train")
    assert list((cache / "named" / "torchvision").iterdir()) == []


def test_an_unknown_set_of_torchvision_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'CIFAR10'"):
        open_dataset("torchvision:CIFAR11", "classification", "train")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A stand-in of the hub: one repository whose files lie in a snapshot of a name of its own."""
    import pyarrow
    import pyarrow.parquet

    stream = tmp_path / "x.png"
    Image.new("RGB", (8, 8)).save(stream)
    image = [{"bytes": stream.read_bytes(), "path": None}] * 2
    (tmp_path / "0f3a" / "plain_text").mkdir(parents=True)
    for name in ("train", "test"):
        made = pyarrow.table({"img": image, "label": [0, 1]})
        path = tmp_path / "0f3a" / "plain_text" / f"{name}-00000-of-00001.parquet"
        pyarrow.parquet.write_table(made, path)
    asked: list[str] = []

    def download(name: str, *, repo_type: str, allow_patterns: list[str]) -> str:
        asked.append(name)
        if name != "uoft-cs/cifar10":
            raise OSError("not found")
        assert repo_type == "dataset"
        return str(tmp_path / "0f3a")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return lambda: asked


@pytest.mark.parametrize("name", ["hf:uoft-cs/cifar10", "hf:uoft-cs/cifar10/plain_text"])
def test_a_set_of_the_hub_is_read_and_fetched_once(hub: Callable[[], list[str]], name: str) -> None:
    for split in ("train", "val"):
        found = open_dataset(name, "classification", split)
        assert found.info.name == name.removeprefix("hf:").replace("/", "--")
        assert (len(found), list(found.targets)) == (2, [0, 1])
    assert found.notes == ("val is read from 'test': there is no 'val'",)
    assert hub() == ["uoft-cs/cifar10"]


@pytest.mark.parametrize("name", ["hf:nobody/nothing", "hf:cifar10", "hf:../../etc", "hf:"])
@pytest.mark.usefixtures("hub")
def test_a_set_that_the_hub_lacks_is_told(name: str) -> None:
    with pytest.raises(DatasetNotFound, match=name.replace(".", r"\.")):
        open_dataset(name, "classification", "train")
