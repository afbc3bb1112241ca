"""Real commands as a user types them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]
SMALL = ("--resize", "32", "--crop", "32")


@pytest.fixture
def vitbench(tmp_path: Path) -> Command:
    """Return a function that runs `vitbench WORD…` in an empty folder and returns what it did."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vitbench", *map(str, words)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,  # the quick demo on a busy machine
            check=False,
        )

    return run
