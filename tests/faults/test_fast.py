"""The fast part of the campaign; `make test-faults` does an hour of it."""

import json
import os
import subprocess
import sys
from pathlib import Path


def test_a_few_faults_of_every_kind_lose_nothing_and_let_nobody_in(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(  # children are forked there: pytest has threads
        [sys.executable, "-m", "tests.faults.campaign", "--fast"],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    figures = json.loads(done.stdout)
    assert figures["failures"] == []
    assert figures["trials"] == {"kill": 2, "signal": 1, "disk": 1, "beside": 1}
    assert figures["trials in all"] >= 200
    assert not list(tmp_path.glob("vitbench-*"))
