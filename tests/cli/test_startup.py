"""What a user waits for before anything runs: no help, list or report imports a heavy library."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vitbench.cli.list import KINDS
from vitbench.cli.main import COMMANDS
from vitbench.data.dataset import open_dataset
from vitbench.engine.protocol import protocols, scorers
from vitbench.training.recipes import recipes

NETWORKS = ("torch", "torchvision", "timm", "faiss", "sklearn")
HEAVY = (*NETWORKS, "cv2", "pycocotools", "matplotlib")
WITHOUT = """
import sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise RuntimeError(f"{name} was imported")

sys.meta_path.insert(0, Forbidden())
from vitbench.cli.main import main
sys.exit(main(sys.argv[2:]))
"""
HELPS = (
    *((name, "--help") for name in COMMANDS),
    *(("eval", name, "--help") for name in protocols.names()),
    *(("score", name, "--help") for name in scorers.names()),
    *(("train", name, "--help") for name in recipes.names()),
    ("train", "dino", "--preset", "imagenet-300", "--data", "imagenet", "--help"),
    ("export", "dino", "--help"),
    ("data", "pack", "--help"),
    ("results", "ls", "--help"),
    ("cache", "clear", "--help"),
)
LISTS = (*(("list", kind) for kind in KINDS), ("cache", "ls"), ("report", "--published", "all"))


def run(
    forbidden: tuple[str, ...], words: tuple[object, ...], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process where some libraries can't be imported."""
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, ",".join(forbidden), *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("words", [*HELPS, *LISTS], ids=" ".join)
def test_no_help_and_no_list_imports_a_heavy_library(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    done = run(HEAVY, words, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_a_command_that_needs_a_network_fails_where_torch_is_forbidden(tmp_path: Path) -> None:
    words = ("eval", "knn", "random:vit_mini_patch8_64", "--data", "synthetic", "--limit", "4")
    done = run(HEAVY, words, tmp_path)
    assert done.returncode == 1
    assert "torch was imported" in done.stderr


def test_clips_are_scored_without_torch(tmp_path: Path) -> None:
    clips = open_dataset("synthetic", "clips", "val", limit=1)
    words = ("score", "davis", clips[0].masks[0].parents[1], "--data", "synthetic", "--limit", "1")
    done = run(NETWORKS, words, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "J&F" in done.stdout


def test_label_files_are_scored_without_torch(tmp_path: Path) -> None:
    files = open_dataset("synthetic", "semantic", "val").files
    folder = Path(str(files[0]).replace("images", "annotations")).parent
    words = ("score", "segmentation", folder, "--data", "synthetic")
    done = run(NETWORKS, words, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mIoU" in done.stdout


def test_a_results_file_is_scored_without_torch(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    image = open_dataset("synthetic", "instances", "val").target(0)
    found = {"image_id": image.image_id, "category_id": 1, "score": 0.5, "bbox": [0, 0, 9, 9]}
    results.write_text(json.dumps([found]))
    done = run(NETWORKS, ("score", "coco", results, "--data", "synthetic"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "AP box" in done.stdout
