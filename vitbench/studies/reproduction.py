"""Published scores of a manifest against ours: the study of one checkpoint, and the ledger."""

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from vitbench.errors import CheckpointError, SettingError
from vitbench.models.manifest import find_manifest
from vitbench.records import Record, RecordedScore
from vitbench.reports import escape
from vitbench.reports.format_scores import number, signed, with_interval
from vitbench.reports.published import published_records, row_id
from vitbench.studies.matrix import Column, Row, Study
from vitbench.studies.sweep import with_data

TOLERANCE = 0.5  # points by which a score may differ from the expected one
OFFICIAL = "official.toml"  # in a folder of records: what official scripts gave on the same files
TITLE = "# Published scores, and what vitbench measures"
ABOUT = (
    "Generated from the records beside it by `vitbench reproduce --ledger`; a test fails where the"
    " table and the records differ."
)
HEADS = (
    *("checkpoint", "protocol", "metric", "expected", "by", "measured", "difference"),
    *("verdict", "commit", "date", "device"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A score that runs are held against."""

    checkpoint: str  # a manifest's name, or the sha256 of a backbone's tensors
    protocol: str
    preset: str
    items: int  # of the split that is scored
    metric: str
    value: float
    source: str

    @property
    def place(self) -> tuple[str | int, ...]:
        """What a run must share with it."""
        return (self.checkpoint, self.protocol, self.preset, self.items, self.metric)


@dataclass(frozen=True, slots=True)
class Reproduction:
    """One expected score with the measured one."""

    record: Record
    expected: Expected
    measured: RecordedScore

    @property
    def difference(self) -> float | None:
        """Measured minus expected."""
        return None if self.measured.value is None else self.measured.value - self.expected.value

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


def printed_scores() -> Iterator[Expected]:
    """Yield every score of a manifest whose protocol and data vitbench has."""
    for record in published_records():
        if record.protocol.preset and record.dataset:
            for score in record.scores:
                if score.value is not None:
                    yield Expected(
                        checkpoint=row_id(record),
                        protocol=record.protocol.name,
                        preset=record.protocol.preset,
                        items=record.dataset.items,
                        metric=score.metric,
                        value=score.value,
                        source=record.citation.partition(";")[0],
                    )


def official_scores(folder: Path) -> tuple[Expected, ...]:
    """Read what official scripts gave, where a folder of records has such a file.

    Raises:
        SettingError: It can't be read.
    """
    path = folder / OFFICIAL
    if not path.exists():
        return ()
    try:
        document = tomllib.loads(path.read_text("utf-8"))
        return TypeAdapter(tuple[Expected, ...]).validate_python(document.get("scores", ()))
    except (OSError, ValueError, ValidationError) as error:
        raise SettingError(
            [f"{str(path)!r} can't be read"],
            expected=f"[[scores]] with {', '.join(Expected.__dataclass_fields__)}",
            found=str(error),
        ) from error


def reproductions(
    records: Iterable[Record], expected: Iterable[Expected]
) -> Iterator[Reproduction]:
    """Yield every measured score with the expected one of its checkpoint, preset and items."""
    by_place = {one.place: one for one in expected}
    for record in records:
        if record.status != "ok" or record.source != "measured" or record.dataset is None:
            continue
        run = (record.protocol.name, record.protocol.preset, record.dataset.items)
        for score in record.scores:
            for checkpoint in (record.subject.name, record.subject.sha256):
                found = by_place.get((checkpoint, *run, score.metric))
                if found is not None:
                    yield Reproduction(record, found, score)


def ledger(
    records: Iterable[Record], official: Sequence[Expected] = (), tolerance: float = TOLERANCE
) -> str:
    """Return the ledger as Markdown, sorted by checkpoint, protocol and metric."""
    found = reproductions(records, [*printed_scores(), *official])
    rows = sorted((_row(one, tolerance) for one in found), key=lambda row: row[:3])
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
        number(one.expected.value, score.unit),
        one.expected.source,
        with_interval(score),
        "" if one.difference is None else signed(one.difference, 1),
        one.verdict(tolerance),
        record.environment.git_commit[:12],
        record.started_at[:10],
        record.environment.device,
    )
    return [escape.markdown(text) for text in texts]
