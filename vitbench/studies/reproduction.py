"""Published scores of a manifest against ours: the study of one checkpoint, and the ledger."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vitbench.errors import CheckpointError
from vitbench.models.manifest import find_manifest
from vitbench.records import Record, RecordedScore
from vitbench.reports import escape
from vitbench.reports.format_scores import number, with_interval
from vitbench.reports.published import published_records, row_id
from vitbench.studies.matrix import Column, Row, Study
from vitbench.studies.sweep import with_data

TOLERANCE = 0.5  # points by which a score may differ from the printed one
TITLE = "# Published scores, and what vitbench measures"
ABOUT = (
    "Generated from the records beside it by `vitbench reproduce --ledger`; a test fails where the"
    " table and the records differ."
)
HEADS = (
    *("checkpoint", "protocol", "metric", "printed", "measured", "difference"),
    *("verdict", "commit", "date", "device"),
)


@dataclass(frozen=True, slots=True)
class Reproduction:
    """One printed score with the measured one."""

    record: Record
    printed: RecordedScore
    measured: RecordedScore

    @property
    def difference(self) -> float | None:
        """Measured minus printed."""
        if self.measured.value is None or self.printed.value is None:
            return None
        return self.measured.value - self.printed.value

    def verdict(self, tolerance: float = TOLERANCE) -> str:
        """Say whether the difference is within the tolerance, in points."""
        if self.difference is None:
            return "not defined"
        return "reproduced" if abs(self.difference) <= tolerance else "not reproduced"


def reproduction_of(name: str, data: Sequence[str] = ()) -> Study:
    """Return the study of a checkpoint by every protocol that its manifest has scores of.

    Args:
        name: Of the manifest.
        data: Words PROTOCOL=DATA; the usual data set of a protocol where none is told.

    Raises:
        UnknownName: There is no such manifest.
        CheckpointError: It has no scores of protocols that are known.
    """
    find_manifest(name)
    columns = []
    for record in published_records():
        if row_id(record) != name or not record.protocol.preset:
            continue
        protocol = record.protocol
        metrics = tuple(score.metric for score in record.scores)
        on = f"{protocol.name}@{protocol.preset}"
        columns.append(Column(protocol.name, on, "", {}, metrics, protocol.name))
    if not columns:
        raise CheckpointError(
            f"{name} has no printed score whose protocol vitbench follows.",
            hint=f"vitbench list published shows what was printed; vitbench eval knn {name}",
        )
    return Study(
        name=f"reproduce-{name}",
        title=f"{name}: printed and measured",
        rows=(Row(name, name, printed=name),),
        columns=tuple(with_data(columns, data)),
    )


def reproductions(records: Iterable[Record]) -> Iterator[Reproduction]:
    """Yield every measured score that a manifest has a printed one for."""
    printed = {
        (row_id(record), record.protocol.name, record.protocol.preset): record
        for record in published_records()
    }
    for record in records:
        if record.status != "ok" or record.source != "measured":
            continue
        found = printed.get((record.subject.name, record.protocol.name, record.protocol.preset))
        for score in found.scores if found else ():
            measured = next((one for one in record.scores if one.metric == score.metric), None)
            if measured is not None:
                yield Reproduction(record, score, measured)


def ledger(records: Iterable[Record], tolerance: float = TOLERANCE) -> str:
    """Return the ledger as Markdown, sorted by checkpoint, protocol and metric."""
    rows = sorted((_row(one, tolerance) for one in reproductions(records)), key=lambda row: row[:3])
    lines = [HEADS, ["---"] * len(HEADS), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    none = "" if rows else "\nNothing has been measured yet.\n"
    about = f"{ABOUT} A score counts as reproduced within {tolerance} points."
    return f"{TITLE}\n\n{about}\n\n{table}\n{none}"


def _row(one: Reproduction, tolerance: float) -> list[str]:
    record, score = one.record, one.measured
    texts = (
        record.subject.name,
        f"{record.protocol.name} {record.protocol.preset}",
        score.label,
        number(one.printed.value, score.unit),
        with_interval(score),
        "" if one.difference is None else f"{one.difference:+.1f}",
        one.verdict(tolerance),
        record.environment.git_commit[:12],
        record.started_at[:10],
        record.environment.device,
    )
    return [escape.markdown(text) for text in texts]
