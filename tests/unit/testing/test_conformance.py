import signal
from collections.abc import Iterator
from typing import Any

import pytest

from vitbench.errors import Stopped
from vitbench.testing import conformance
from vitbench.testing.conformance import check_protocol
from vitbench.testing.finding import Finding, found_by
from vitbench_protocols.knn import Knn


def stop(*_: Any) -> Any:
    raise Stopped(signal.SIGTERM, "step 1 of 2", hint="go on")


@pytest.mark.parametrize("checks", [lambda: check_protocol(Knn), lambda: found_by({"one": stop})])
def test_a_wish_to_stop_is_no_finding(checks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "evaluate", stop)
    with pytest.raises(Stopped):
        list(checks())


def test_a_protocol_that_fails_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: Iterator[int] = iter(range(9))

    def fail(*_: Any) -> Any:
        raise RuntimeError(f"run {next(runs)}")

    monkeypatch.setattr(conformance, "evaluate", fail)
    assert list(check_protocol(Knn))[-1] == Finding("runs on built-in data", "RuntimeError: run 0")
    assert next(runs) == 1
