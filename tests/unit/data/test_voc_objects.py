from pathlib import Path

import pytest
from PIL import Image

from vitbench.api import open_dataset
from vitbench.data.dataset import readers
from vitbench.errors import DatasetError, DatasetNotFound
from vitbench.testing import check_reader

OBJECT = """<object><name>{name}</name><difficult>1</difficult><bndbox><xmin>{box[0]}</xmin>
<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox>
<part><name>head</name></part></object>"""


def write_voc(root: Path, name: str = "dog") -> Path:
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (40, 30)).save(root / "JPEGImages" / f"00{number}.jpg")
        objects = "".join(OBJECT.format(name=name, box=(1, 1, 40, 30)) for _ in range(number))
        (root / "Annotations" / f"00{number}.xml").write_text(
            f"<annotation><size><width>40</width><height>30</height></size>{objects}</annotation>"
        )
    (root / "ImageSets" / "Main" / "trainval.txt").write_text("000\n001\n002\n")
    return root


def test_boxes_count_pixels_from_zero(tmp_path: Path) -> None:
    dataset = open_dataset(str(write_voc(tmp_path)), "instances", "trainval")
    assert list(dataset.ids) == ["000.jpg", "001.jpg", "002.jpg"]
    assert [len(dataset[number].target.items) for number in range(3)] == [0, 1, 2]
    (only,) = dataset.target(1).items
    assert only.box == (0.0, 0.0, 40.0, 30.0)
    assert dataset.categories[only.category] == "dog"
    assert dataset.label_files(1) == (tmp_path / "Annotations" / "001.xml",)


def test_the_reader_keeps_its_contract(tmp_path: Path) -> None:
    write_voc(tmp_path)
    (tmp_path / "ImageSets" / "Main" / "trainval.txt").rename(
        tmp_path / "ImageSets" / "Main" / "val.txt"
    )
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("002\n001\n")
    findings = check_reader("instances", readers.get("instances"), data=str(tmp_path))
    assert [finding for finding in findings if not finding.passed] == []


def test_what_is_not_there_or_unknown_is_named(tmp_path: Path) -> None:
    root = write_voc(tmp_path, name="dragon")
    with pytest.raises(DatasetError, match="an object called 'dragon'"):
        open_dataset(str(root), "instances", "trainval")
    with pytest.raises(DatasetNotFound, match="no split 'test'"):
        open_dataset(str(root), "instances", "test")
    (root / "Annotations" / "001.xml").write_text("<annotation>")
    with pytest.raises(DatasetError, match="can't be read"):
        open_dataset(str(root), "instances", "trainval")
