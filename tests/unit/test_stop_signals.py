import os
import signal
from contextlib import suppress
from types import SimpleNamespace

import pytest

from vitbench.cli import main as command_line
from vitbench.errors import Terminated
from vitbench.stop_signals import raising_terminated


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_the_work_where_it_is_and_nobody_swallows_it(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    reached = []

    def work() -> None:
        try:
            os.kill(os.getpid(), number)
            reached.append("after the signal")
        except Exception:
            reached.append("swallowed")

    with raising_terminated(), pytest.raises(Terminated, match=number.name):
        work()
    assert not reached
    assert signal.getsignal(number) is before


def test_a_second_signal_does_not_disturb_the_cleaning_up() -> None:
    cleaned = []
    with suppress(Terminated), raising_terminated():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGUSR1)
            cleaned.append(True)
    assert cleaned


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)]
)
@pytest.mark.parametrize("command", ["eval", "score", "report", "cache"])
def test_every_command_says_how_it_ended(
    number: signal.Signals,
    code: int,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    def run(_: object) -> int:
        os.kill(os.getpid(), number)
        return 0

    interrupted = signal.signal(signal.SIGINT, signal.default_int_handler)  # may be ignored
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, interrupted))
    monkeypatch.setattr(command_line, "import_module", lambda _: SimpleNamespace(run=run))
    assert command_line.main([command]) == code
    assert "the same command goes on from there" in capsys.readouterr().err
