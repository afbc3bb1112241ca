"""The exit code of a command comes back through torchrun."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vitbench.torchrun import EXIT_CODE_FILE, leave_exit_code, loses_exit_codes

COMMAND = """
import signal, sys, time
from pathlib import Path
from vitbench.torchrun import leave_exit_code
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
Path(sys.argv[1], sys.argv[2]).touch()
while not stopped:
    time.sleep(0.02)
sys.exit(leave_exit_code(75))
"""


def test_two_processes_that_save_at_a_signal_are_said_to_have_saved(tmp_path: Path) -> None:
    """Starts the real torchrun, which takes seconds: nothing else knows what it does."""
    (tmp_path / "command.sh").write_text(
        f'exec {sys.executable} {tmp_path / "command.py"} {tmp_path} "started-$RANK"\n'
    )
    (tmp_path / "command.py").write_text(COMMAND)
    words = ["--standalone", "--nproc-per-node", "2", "--no-python", "sh"]
    with subprocess.Popen(
        [sys.executable, "-m", "vitbench.torchrun", *words, str(tmp_path / "command.sh")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("started-*"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    assert process.returncode == 75


def test_the_first_code_that_is_no_success_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "code"
    monkeypatch.setenv(EXIT_CODE_FILE, str(path))
    assert [leave_exit_code(code) for code in (0, 75, 2)] == [0, 75, 2]
    assert path.read_text() == "75"


def test_a_plain_torchrun_is_known_to_lose_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EXIT_CODE_FILE, raising=False)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert not loses_exit_codes()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert loses_exit_codes()
    monkeypatch.setenv(EXIT_CODE_FILE, "somewhere")
    assert not loses_exit_codes()
