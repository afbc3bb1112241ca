"""`vitbench list datasets`: kind, size, and whether a set is whole, without torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from vitbench.cli.main import main


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / name)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write(tmp_path / "pets", "train/cat/1.png", "train/dog/1.png", "valid/cat/2.png")
    write(tmp_path / "ade20k", "images/training/1.png", "annotations/training/1.png")
    write(tmp_path / "coco", "val2017/1.png", "val2017/2.png")
    (tmp_path / "coco" / "annotations").mkdir()
    (tmp_path / "coco" / "annotations" / "instances_val2017.json").touch()
    lists = tmp_path / "davis" / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("\n".join(f"clip{number}" for number in range(30)))
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "train-000.tar").touch()
    (tmp_path / "papers").mkdir()
    return tmp_path


def test_each_folder_is_listed_with_kind_and_size(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VITBENCH_DATA", str(base))
    assert main(["list", "datasets"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[1:])
    assert lines["pets"] == "classification: train 2 images, val 1 images"
    assert lines["ade20k"] == "semantic: train 1 images of 20,210"
    assert lines["coco"] == "instances: val 2 images of 5,000"
    assert lines["davis"] == "clips: val 30 clips (whole)"
    assert lines["shards"] == "classification: train 1 shards"
    assert lines["papers"] == "no layout that is known"


def test_it_imports_no_torch(base: Path) -> None:
    code = (
        "import sys; from vitbench.cli.main import main; main(['list', 'datasets']);"
        "sys.exit('torch' in sys.modules)"
    )
    environment = {**os.environ, "VITBENCH_DATA": str(base)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
