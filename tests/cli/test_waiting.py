import os

import pytest

from vitbench.cli.main import main

POLICY = "OMP_WAIT_POLICY"


def test_threads_sleep_where_they_wait_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(POLICY, "before")  # restored at the end
    monkeypatch.delenv(POLICY)
    main(["list", "protocols"])
    assert os.environ[POLICY] == "passive"
    monkeypatch.setenv(POLICY, "active")
    main(["list", "protocols"])
    assert os.environ[POLICY] == "active"
