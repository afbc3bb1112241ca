"""Checks that every protocol must pass, bundled or not. None trusts what the protocol says."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitbench.engine.evaluate import evaluate
from vitbench.engine.options import RunOptions
from vitbench.engine.presets import from_preset
from vitbench.engine.protocol import EvaluationProtocol, contract_problems
from vitbench.errors import Stopped
from vitbench.models.checkpoint import resolve
from vitbench.models.state_dict import content_sha256
from vitbench.records import Record, read_items
from vitbench.settings import as_dict, problems
from vitbench.testing.finding import Finding

SMALL = "random:vit_mini_patch8_64"


def check_protocol(
    kind: type[EvaluationProtocol], *, data: str = "synthetic", limit: int = 24, **settings: Any
) -> Iterator[Finding]:
    """Check a protocol against the contract, and run it twice on a small random backbone.

    Args:
        kind: The protocol's class.
        data: A small dataset of its kind.
        limit: Items of it.
        settings: That make the run short.

    Yields:
        One finding a check, as soon as it is known.
    """
    yield Finding("declares what the contract asks", "; ".join(contract_problems(kind)))
    yield Finding("its defaults lie inside their limits", "; ".join(problems(kind())))
    yield Finding("its settings can be stored and compared", _stored(kind))
    with tempfile.TemporaryDirectory(prefix="vitbench-check-") as folder:
        first = _run(kind, Path(folder) / "first", data, limit, settings)
        yield Finding("runs on built-in data", first if isinstance(first, str) else "")
        if isinstance(first, str):
            return
        second = _run(kind, Path(folder) / "second", data, limit, settings)
        if isinstance(second, str):
            yield Finding("runs a second time", second)
            return
        for name, check in _CHECKS.items():
            yield Finding(name, check(kind, first, second))


@dataclass(frozen=True, slots=True)
class _Ran:
    record: Record
    folder: Path
    unchanged: bool


def _run(
    kind: type[EvaluationProtocol], folder: Path, data: str, limit: int, settings: dict[str, Any]
) -> "_Ran | str":
    """Run once; a string says why it could not."""
    protocol = from_preset(kind, None, **settings)
    checkpoint = resolve(SMALL) if "backbone" in kind.needs else None
    before = content_sha256(checkpoint.state) if checkpoint else ""
    device = "auto" if "gpu" in kind.needs else "cpu"
    options = RunOptions(data=data, results=folder, limit=limit, device=device, workers=2)
    try:
        record = evaluate(protocol, checkpoint, options).record
    except Stopped:  # by the user
        raise
    except Exception as error:  # whatever it is, it is the finding
        return f"{type(error).__name__}: {error}"
    after = content_sha256(checkpoint.state) if checkpoint else ""
    return _Ran(record, folder, before == after)


def _stored(kind: type[EvaluationProtocol]) -> str:
    import json

    try:
        json.dumps(as_dict(kind()))
    except TypeError as error:
        return str(error)
    return ""


def _same_scores(kind: type[EvaluationProtocol], first: _Ran, second: _Ran) -> str:
    same = {metric.name for metric in kind.metrics if metric.repeatable}
    a, b = (
        {s.metric: s.value for s in ran.record.scores if s.metric in same}
        for ran in (first, second)
    )
    return "" if a == b else f"two equal runs gave {a} and {b}"


def _declared_scores(kind: type[EvaluationProtocol], first: _Ran, _: _Ran) -> str:
    declared = {metric.name for metric in kind.metrics}
    due = {metric.name for metric in kind.metrics if metric.always}
    given = {score.metric for score in first.record.scores}
    fewer = given < declared and "backbone" not in kind.needs  # the rest takes a checkpoint
    return (
        ""
        if due <= given <= declared or fewer
        else f"declares {sorted(declared)}, gives {sorted(given)}"
    )


def _left_alone(_: Any, first: _Ran, second: _Ran) -> str:
    return "" if first.unchanged and second.unchanged else "the weights that were lent have changed"


def _percent(_: Any, first: _Ran, __: _Ran) -> str:
    wrong = [
        f"{score.metric} = {score.value}"
        for score in first.record.scores
        if score.unit == "%" and score.value is not None and not -100 <= score.value <= 100
    ]
    return "; ".join(wrong)


def _kept_items(_: Any, first: _Ran, __: _Ran) -> str:
    items = read_items(first.record, first.folder)
    if not items:
        return "no per-item scores: two checkpoints could not be compared in pairs"
    lengths = {name: len(values) for name, values in items.items()}
    return "" if "ids" in items else f"per-item scores without 'ids': {lengths}"


_CHECKS: dict[str, Callable[[Any, _Ran, _Ran], str]] = {
    "gives every score it declares, and no other": _declared_scores,
    "gives the same scores twice": _same_scores,
    "percent lies between 0 and 100": _percent,
    "keeps per-item scores": _kept_items,
    "leaves the backbone as it was": _left_alone,
}
