"""Records as an evaluation would leave them, with any part changed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from vitbench.records import (
    Cost,
    DatasetInfo,
    Environment,
    ProtocolRef,
    Record,
    RecordedScore,
    Subject,
)

MakeRecord = Callable[..., Record]


def knn_record(
    name: str = "small",
    value: float | None = 80.0,
    *,
    data: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    subject: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Record:
    """Return a k-NN record of a checkpoint called `name` that scored `value`."""
    record = Record(
        id=sha256(str((name, value, data, protocol, changes)).encode()).hexdigest(),
        status="ok",
        subject=replace(Subject(kind="checkpoint", name=name, sha256="a" * 64), **(subject or {})),
        protocol=replace(
            ProtocolRef(
                name="knn", version=1, spec_id="s" * 64, settings={"k": 20, "temperature": 0.07}
            ),
            **(protocol or {}),
        ),
        dataset=replace(
            DatasetInfo(
                name="shapes", split="val", kind="classification", items=100, fingerprint="f" * 64
            ),
            **(data or {}),
        ),
        seed=0,
        scores=(
            RecordedScore(
                metric="top1_k20",
                label="top-1 (k=20)",
                value=value,
                unit="%",
                higher_is_better=True,
                primary=True,
                items=100,
                low=None if value is None else value - 2,
                high=None if value is None else value + 2,
            ),
        ),
        environment=Environment(
            vitbench="0.1",
            python="3.11",
            platform="Linux",
            packages={},
            device="cpu",
            precision="fp32",
            processes=1,
        ),
        cost=Cost(seconds=1.0),
        started_at="2026-01-01T00:00:00Z",
    )
    return replace(record, **changes)


@pytest.fixture
def make_record() -> MakeRecord:
    """Return the maker of records."""
    return knn_record
