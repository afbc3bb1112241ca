"""Clips followed by several processes, and by one that is killed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cli.conftest import Command
from tests.tiny_clips import write_davis

RANDOM = "random:vit_mini_patch8_64"
PROGRAM = (
    "import sys, time\n"
    "from vitbench_protocols.davis.follow import Follower\n"
    "follow = Follower.follow\n"
    "def told(self, clip, folder):\n"
    "    print('following', clip.id, flush=True)\n"
    "    if clip.id == sys.argv[1]: time.sleep(60)\n"
    "    return follow(self, clip, folder)\n"
    "Follower.follow = told\n"
    "from vitbench.cli.main import main\n"
    "sys.exit(main(sys.argv[2:]))"
)


def scores(results: Path) -> dict[str, Any]:
    document = json.loads(next((results / "davis").glob("*.json")).read_text())
    return {score["metric"]: (score["value"], score["low"]) for score in document["scores"]}


def environment(cache: Path) -> dict[str, str]:
    """Return what a process needs that shares nothing with other runs."""
    paths = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "PYTHONPATH": paths, "VITBENCH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def words(root: Path, results: Path) -> list[str]:
    where = ["--data", str(root), "--results", str(results), "--device", "cpu"]
    return ["eval", "davis", RANDOM, "--resolution", "48", *where]


def test_two_processes_share_the_clips_and_give_the_record_of_one(
    vitbench: Command, tmp_path: Path
) -> None:
    root = write_davis(tmp_path / "davis")
    assert vitbench(*words(root, tmp_path / "one")).returncode == 0
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
    done = subprocess.run(
        [*launch, "vitbench", *words(root, tmp_path / "two")],
        env=environment(tmp_path / "cache"),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert scores(tmp_path / "one") == scores(tmp_path / "two")
    one, two = (sorted(p.name for p in (tmp_path / x).rglob("*.*")) for x in ("one", "two"))
    assert one == two  # every mask, overlay and table


def test_a_killed_run_goes_on_with_the_clip_it_was_in(tmp_path: Path) -> None:
    root = write_davis(tmp_path / "davis")

    def start(sleep_in: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, sleep_in, *words(root, tmp_path / "results")],
            env=environment(tmp_path / "cache"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    process = start(sleep_in="solo")
    assert process.stdout is not None
    assert process.stdout.readline() == "following duo\n"
    assert process.stdout.readline() == "following solo\n"
    process.kill()
    process.communicate()
    said, _ = start(sleep_in="").communicate(timeout=600)
    assert "following solo" in said
    assert "following duo" not in said
    assert scores(tmp_path / "results")["jf_mean"][0] > 0
