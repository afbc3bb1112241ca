"""An outside distribution's protocol is found, checked and run, as a user would install it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[1] / "plugin_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Install the package into a folder of its own; return the environment that sees it."""
    site = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(site)]
    subprocess.run([*build, str(PLUGIN)], check=True, capture_output=True)
    wheel = next(site.glob("*.whl"))
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    paths = [str(site), *filter(None, sys.path)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def vitbench(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vitbench", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_listed_with_its_distribution(installed: dict[str, str]) -> None:
    listing = vitbench(installed, "list", "protocols", "checkpoints").stdout
    assert re.search(r"^  brightness +.*\(from brightness\)$", listing, re.MULTILINE)
    assert "tiny-vit" in listing


def test_it_is_run_by_name_and_leaves_a_record(
    installed: dict[str, str], folders: Path, tmp_path: Path
) -> None:
    done = vitbench(
        installed,
        *("eval", "brightness", "random:vit_mini_patch8_64", "--preset", "half"),
        *("--data", str(folders), "--results", str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "brightness").glob("*.json"))) == 1
    assert "100.00%" in done.stdout


def test_its_backbone_is_listed_checked_and_scored(
    installed: dict[str, str], folders: Path, tmp_path: Path
) -> None:
    assert "colors                   brightness" in vitbench(installed, "list", "backbones").stdout
    checked = vitbench(installed, "check-plugin", "colors")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.startswith("backbone colors\n  ok")
    where = ("--data", str(folders), "--results", str(tmp_path))
    done = vitbench(installed, "eval", "knn", "colors", *where)
    assert done.returncode == 0, done.stderr
    record = json.loads(next((tmp_path / "knn").glob("*.json")).read_text())
    assert record["subject"]["name"] == "colors"
    assert record["subject"]["network"]["code"] == "brightness.backbone.Colors"
    assert record["subject"]["network"]["version"] == "1.0"
    assert record["subject"]["network"]["prefix_tokens"] == 1
    by_code = vitbench(installed, "eval", "knn", "brightness.backbone:colors", *where)
    assert "an earlier run's" in by_code.stdout  # the same tensors and the same code


def test_the_backbone_of_a_plug_in_takes_random_weights_by_seed(
    installed: dict[str, str], folders: Path, tmp_path: Path
) -> None:
    where = ("--data", str(folders), "--results", str(tmp_path))
    done = vitbench(installed, "eval", "knn", "random:colors?seed=3", *where)
    assert done.returncode == 0, done.stderr
    assert "random-colors-seed3" in done.stdout


def test_a_kind_of_data_comes_with_its_reader_and_its_protocol(
    installed: dict[str, str], tmp_path: Path
) -> None:
    words = ("eval", "relief", "random:vit_mini_patch8_64", "--data", "synthetic")
    cache = {"VITBENCH_CACHE": str(tmp_path / "cache")}
    done = vitbench(installed | cache, *words, "--results", str(tmp_path), "--limit", "train=5")
    assert done.returncode == 0, done.stderr
    assert "relief small · synthetic/val, 8 depth maps" in done.stdout
    (record,) = (tmp_path / "relief").glob("*.json")
    assert json.loads(record.read_text())["dataset"]["kind"] == "relief"


def test_the_reader_of_a_plug_in_is_checked_with_its_protocol(installed: dict[str, str]) -> None:
    done = vitbench(installed, "check-plugin", "relief")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok    val: the content of its files counts" in done.stdout
    assert "ok    gives the same scores twice" in done.stdout
