"""Group records into boards of comparable runs: one row a subject, one column a metric."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vitbench.records import DatasetInfo, ProtocolRef, Record, RecordedScore, Unit
from vitbench.reports import marks
from vitbench.reports.variants import flat, outermost, variants

LEVEL = 0.05  # of the corrected p-value below which runs are told apart


@dataclass(frozen=True, slots=True)
class Column:
    """One metric of a board."""

    metric: str
    label: str
    unit: Unit
    higher_is_better: bool | None
    primary: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One subject of a board; `name` is unique on it."""

    name: str
    record: Record
    scores: Mapping[str, RecordedScore]  # by metric; values are finite or None

    @property
    def published(self) -> bool:
        """Whether somebody else printed these numbers."""
        return self.record.source == "published"

    def value(self, metric: str) -> float | None:
        """Return the entry's number in a column, None where it has none."""
        score = self.scores.get(metric)
        return None if score is None else score.value


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs on the same items of a board."""

    one: str  # names of lines
    other: str
    column: Column
    difference: float  # the one minus the other
    low: float  # 95 % interval, by itself
    high: float
    p: float
    corrected: float  # p after Holm's correction over all comparisons of the report
    items: int
    wins: float | None  # percent of items where the one is higher; ties count half

    @property
    def distinct(self) -> bool:
        """Whether the difference stands after the correction."""
        return self.corrected < LEVEL

    @property
    def better_first(self) -> "Comparison":
        """The same comparison, read from the run with the better score."""
        if (self.difference > 0) == self.column.higher_is_better:
            return self
        return replace(
            self,
            one=self.other,
            other=self.one,
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
            wins=None if self.wins is None else 100 - self.wins,
        )


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Scores of one protocol identity on the same data: they share columns, and no others do."""

    protocol: ProtocolRef
    dataset: DatasetInfo
    columns: tuple[Column, ...]
    entries: tuple[Entry, ...]
    why_incomparable: tuple[
        str, ...
    ] = ()  # what keeps it from the first board of the same protocol
    comparisons: tuple[Comparison, ...] = ()  # every pair of runs that was tested
    reference: str = ""  # the run that the others are held against
    variant: str = ""  # what tells it from other boards of its protocol on its data

    @property
    def title(self) -> str:
        """Protocol, variant and data in one line."""
        version = f"v{self.protocol.version}" if self.protocol.version else ""
        variant = f"preset {self.variant}" if self.protocol.preset else self.variant
        size = marks.size(self.dataset)
        parts = (f"{self.protocol.name} {version}".strip(), variant, self.data_name, size)
        return " · ".join(part for part in parts if part)

    @property
    def data_name(self) -> str:
        """Name and split of the data, and the first digits of their fingerprint."""
        print_ = f"@{self.dataset.fingerprint[:8]}" if self.dataset.fingerprint else ""
        return f"{self.dataset.name}/{self.dataset.split}{print_}"

    @property
    def items_name(self) -> str:
        """What the items that have a score each are called."""
        named = marks.NOUNS_OF_PROTOCOLS.get(self.protocol.name)
        return named or marks.items_name(self.dataset)

    @property
    def primary(self) -> Column | None:
        """Return the column that ranks the board."""
        ranked = [column for column in self.columns if column.higher_is_better is not None]
        return next((column for column in ranked if column.primary), ranked[0] if ranked else None)

    @property
    def headline(self) -> Column | None:
        """The column that stands for the board, be it only a description."""
        declared = (column for column in self.columns if column.primary)
        return self.primary or next(declared, None)

    def best(self) -> dict[str, float]:
        """Return the best number of each ranked column that is nobody else's, by metric.

        Where runs were compared, only the column that they were compared in has a best number,
        and only if no other run may be as good.
        """
        found = {}
        for column in self.columns:
            values = [
                value for entry in self.entries if (value := entry.value(column.metric)) is not None
            ]
            if len(values) > 1 and column.higher_is_better is not None:
                best = max(values) if column.higher_is_better else min(values)
                if values.count(best) == 1 and self._stands_alone(column, best):
                    found[column.metric] = best
        return found

    def _stands_alone(self, column: Column, best: float) -> bool:
        """Tell whether no comparison says that another run may be as good as the best one."""
        if not self.comparisons:
            return True
        if column != self.primary:
            return False
        name = next(entry.name for entry in self.entries if entry.value(column.metric) == best)
        own = [one.distinct for one in self.comparisons if name in (one.one, one.other)]
        return bool(own) and all(own)

    def told(self) -> tuple[Comparison, ...]:
        """Return the comparisons with the run that the others are held against."""
        return tuple(one for one in self.comparisons if self.reference in (one.one, one.other))

    def against_reference(self) -> dict[str, Comparison]:
        """Map each run to its comparison with the run that the others are held against."""
        return {one.one if one.other == self.reference else one.other: one for one in self.told()}

    def standing_out(self) -> set[str]:
        """Name the runs that are distinguishable from the one that the others are held against."""
        return {name for name, one in self.against_reference().items() if one.distinct}

    def printed_for(self) -> dict[str, Entry]:
        """Map runs to the published entry of the same file, else of their method and architecture.

        Runs that nobody printed a value for are left out.
        """
        printed = [entry for entry in self.entries if entry.published]
        found = {}
        for entry in self.entries if printed else ():
            subject = entry.record.subject
            of = (subject.method, subject.arch.partition(" ")[0])
            same = [
                other
                for other in printed
                if (other.record.subject.method, other.record.subject.arch) == of
            ]
            exact = [other for other in same if other.name.startswith(f"{subject.name} · ")]
            if subject.method and same and not entry.published:
                found[entry.name] = (exact or same)[0]
        return found

    def ranked(self) -> tuple[Entry, ...]:
        """Return the lines, best first by the primary column; undefined ones last."""
        column = self.primary
        if column is None:
            return self.entries
        sign = -1.0 if column.higher_is_better else 1.0
        return tuple(
            sorted(
                self.entries,
                key=lambda entry: (
                    math.inf if (value := entry.value(column.metric)) is None else sign * value
                ),
            )
        )


def build_leaderboards(records: Iterable[Record]) -> tuple[Leaderboard, ...]:
    """Group finished records by protocol identity and data, in the order in which they come."""
    groups: dict[tuple[str, str, str], tuple[DatasetInfo, list[Record]]] = {}
    for record in records:
        if record.dataset is not None:
            spec = record.protocol.spec_id or f"preset:{record.protocol.preset}"
            data = record.dataset.fingerprint or f"{record.dataset.name}/{record.dataset.split}"
            key = (record.protocol.name, spec, data)
            groups.setdefault(key, (record.dataset, []))[1].append(record)
    first: dict[str, tuple[ProtocolRef, DatasetInfo]] = {}
    ordered = sorted(groups.items(), key=lambda item: item[0][0])
    kinds = [(group[0].protocol, dataset) for _, (dataset, group) in ordered]
    boards = []
    for this, (_, (_, group)), variant in zip(kinds, ordered, variants(kinds), strict=True):
        apart = differences(first.setdefault(this[0].name, this), this)
        told = Leaderboard(*this, _columns(group), _entries(group), apart, variant=variant)
        boards.append(told)
    return tuple(boards)


def differences(
    this: tuple[ProtocolRef, DatasetInfo], that: tuple[ProtocolRef, DatasetInfo]
) -> tuple[str, ...]:
    """Tell what keeps two runs out of one column: each setting that differs, and by what."""
    one, other = this[0], that[0]
    found = []
    if one.version != other.version:
        found.append(f"version: {other.version} instead of {one.version}")
    mine, theirs = dict(flat(one.settings)), dict(flat(other.settings))
    absent = "(not set)"
    names = sorted({*mine, *theirs})
    apart = [name for name in names if mine.get(name, absent) != theirs.get(name, absent)]
    for name in outermost(apart):
        left, right = mine.get(name, absent), theirs.get(name, absent)
        found.append(f"{name}: {right!r} instead of {left!r}")
    if one.spec_id != other.spec_id and not found:
        found.append(f"preset: {other.preset or '(none)'} instead of {one.preset or '(none)'}")
    return (*found, *_data_differences(this[1], that[1]))


def _data_differences(one: DatasetInfo, other: DatasetInfo) -> list[str]:
    if one.fingerprint == other.fingerprint and (one.fingerprint or one == other):
        return []
    named = [
        f"data {name}: {right} instead of {left}"
        for name in ("name", "split", "items")
        if (left := getattr(one, name)) != (right := getattr(other, name))
    ]
    return named or [f"data fingerprint: {other.fingerprint[:8]} instead of {one.fingerprint[:8]}"]


def _columns(records: Sequence[Record]) -> tuple[Column, ...]:
    columns: dict[str, Column] = {}
    for record in records:
        for score in record.scores:
            columns.setdefault(
                score.metric,
                Column(
                    score.metric, score.label, score.unit, score.higher_is_better, score.primary
                ),
            )
    return tuple(columns.values())


def _entries(records: Sequence[Record]) -> tuple[Entry, ...]:
    names = _unique_names(records)
    return tuple(
        Entry(name, record, {score.metric: _finite(score) for score in record.scores})
        for name, record in zip(names, records, strict=True)
    )


def _finite(score: RecordedScore) -> RecordedScore:
    def clean(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    return replace(score, value=clean(score.value), low=clean(score.low), high=clean(score.high))


def _unique_names(records: Sequence[Record]) -> list[str]:
    """Name records by their subject, and by what tells namesakes apart where there are any."""
    namesakes: dict[str, list[Record]] = {}
    for record in records:
        namesakes.setdefault(record.subject.name, []).append(record)
    facts: tuple[Callable[[Record], Any], ...] = (
        lambda record: f"seed {record.seed}",
        lambda record: f"weights {record.subject.sha256[:8]}",
        lambda record: f"run {record.id[:8]}",
    )
    names = []
    for record in records:
        same = namesakes[record.subject.name]
        telling = [
            fact(record) for fact in facts if len({fact(other) for other in same}) == len(same)
        ]
        suffix = f" ({(telling or [facts[-1](record)])[0]})" if len(same) > 1 else ""
        names.append(" = ".join(marks.names(record.subject)) + suffix)
    return names
