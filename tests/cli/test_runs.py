"""Runs beside one another, stopped runs, and several processes for one run."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.cli.conftest import SMALL, Command

RANDOM = "random:vit_mini_patch8_64"


def scores(results: Path) -> dict[str, Any]:
    document = json.loads(next((results / "knn").glob("*.json")).read_text())
    return {score["metric"]: score["value"] for score in document["scores"]}


def test_two_runs_write_to_one_results_folder_at_once(
    vitbench: Command, folders: Path, tmp_path: Path
) -> None:
    def one(seed: int) -> int:
        checkpoint = f"{RANDOM}?seed={seed % 2}"  # two of the three are the same run
        return vitbench("eval", "knn", checkpoint, "--data", folders, *SMALL).returncode

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(one, range(3))) == [0, 0, 0]
    found = sorted(path for path in (tmp_path / "results" / "knn").iterdir() if path.is_file())
    assert [path.suffix for path in found] == [".npz", ".json"] * 2 or len(found) == 4
    for path in found:
        if path.suffix == ".json":
            assert json.loads(path.read_text())["status"] == "ok"


def test_ctrl_c_keeps_what_was_done_and_exits_with_130(folders: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in the background
        "from vitbench.engine import features\n"
        "forward, features.BATCH['cpu'] = features._forward, 4\n"
        "done = []\n"
        "def slow(*arguments):\n"
        "    done.append(1); print('batch', flush=True)\n"
        "    time.sleep(600 if len(done) == 3 else 0); return forward(*arguments)\n"
        "features._forward = slow\n"
        "from vitbench.cli.main import main\n"
        "sys.exit(main())"
    )
    words = ["eval", "knn", RANDOM, "--data", str(folders), "--seed", "7", *SMALL]
    with subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=tmp_path,
        env={**environment, "VITBENCH_CACHE": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(3):
            assert process.stdout.readline() == "batch\n"
        time.sleep(1)  # into the third batch's long sleep
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "goes on from there" in said
    assert list((tmp_path / "cache" / "features").rglob("batches.*.part"))  # the next run's start


def test_two_processes_give_the_scores_of_one(
    vitbench: Command, folders: Path, tmp_path: Path
) -> None:
    words = ["eval", "knn", RANDOM, "--data", str(folders), *SMALL]
    assert vitbench(*words, "--results", tmp_path / "one").returncode == 0
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
    done = subprocess.run(
        [*launch, "vitbench", *words, "--results", str(tmp_path / "two")],
        env={
            **environment,
            "VITBENCH_CACHE": str(tmp_path / "cache"),  # nothing of the first run is reused
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert scores(tmp_path / "one") == scores(tmp_path / "two")
    assert done.stdout.count("top-1 (k=20)") == 1  # one process speaks for both
