"""One process with a fake CUDA device, which the tests ask in turn."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cuda_path.device import environment, why_not

Ask = Callable[[str], dict[str, Any]]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Return a function that runs a case on the fake device and gives what it measured."""
    if reason := why_not():
        pytest.skip(reason)
    command = [sys.executable, "-m", "tests.cuda_path.child"]
    variables = environment(tmp_path_factory.mktemp("fake-cuda"))
    with subprocess.Popen(
        command,
        env=variables,
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        asked, answers = child.stdin, child.stdout

        def run(name: str) -> dict[str, Any]:
            print(name, file=asked, flush=True)
            found: dict[str, Any] = json.loads(answers.readline())
            assert "error" not in found, found["error"]
            return found

        yield run
        asked.close()
