"""One process at a time works on a cell; who died is no obstacle."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vitbench.studies import lease
from vitbench.studies.lease import CLAIM, claimed, holder

HOLD = """
import sys, time
from pathlib import Path
from vitbench.studies.lease import claimed
with claimed(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(float(sys.argv[2]))
"""


def start(folder: Path, seconds: float) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def test_a_second_claim_is_refused_until_the_first_is_released(tmp_path: Path) -> None:
    with claimed(tmp_path) as mine:
        assert mine
        found = holder(tmp_path)
        assert found is not None
        assert (found.pid, found.alive) == (os.getpid(), True)
        with claimed(tmp_path) as second:
            assert not second
        assert holder(tmp_path) is not None
    assert holder(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == []


def test_of_many_processes_at_once_one_gets_the_claim(tmp_path: Path) -> None:
    processes = [start(tmp_path, 3) for _ in range(4)]
    said = [process.stdout.readline().strip() for process in processes if process.stdout]
    assert sorted(said) == ["False", "False", "False", "True"]
    for process in processes:
        process.communicate()


def test_a_killed_process_of_this_machine_is_taken_over_at_once(tmp_path: Path) -> None:
    process = start(tmp_path, 60)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "True"
    process.kill()
    process.communicate()
    found = holder(tmp_path)
    assert found is not None
    assert not found.alive
    with claimed(tmp_path) as mine:
        assert mine


@pytest.mark.parametrize(("age", "taken"), [(170.0, False), (190.0, True)])
def test_a_claim_of_another_machine_is_stale_after_three_minutes_without_a_heartbeat(
    tmp_path: Path, age: float, taken: bool
) -> None:
    path = tmp_path / CLAIM
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "token": "t"}))
    os.utime(path, (time.time() - age,) * 2)
    with claimed(tmp_path) as mine:
        assert mine is taken


def test_the_heart_beats_while_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.02)
    with claimed(tmp_path):
        os.utime(tmp_path / CLAIM, (0, 0))
        deadline = time.monotonic() + 20
        while (tmp_path / CLAIM).stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (tmp_path / CLAIM).stat().st_mtime > 0


def test_a_fresh_claim_is_put_back_when_a_dead_one_was_to_be_put_away(tmp_path: Path) -> None:
    path = tmp_path / CLAIM
    fresh = json.dumps({"host": "elsewhere", "pid": 1, "token": "fresh"})
    path.write_text(fresh)
    assert not lease._put_away(path, "dead")
    assert path.read_text() == fresh
