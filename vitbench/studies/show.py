"""From the records of a study to its table."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

from vitbench.records import MetricSpec, Record
from vitbench.reports.published import published_records, same_place
from vitbench.reports.study_table import StudyCell, StudyColumn, StudyRow, StudyTable
from vitbench.studies.cell_state import State, Work
from vitbench.studies.matrix import Column, Row, Study
from vitbench.studies.row_facts import facts_of
from vitbench.studies.verdicts import judge


def study_table(study: Study, results: Path, states: Mapping[Work, State]) -> StudyTable:
    """Return the table of a study, as far as there are records."""
    columns = tuple(pair for column in study.columns for pair in _columns_of(column))
    facts = {row.name: facts_of(row) for row in study.rows}
    shared = _shared(facts)
    told_once = {name for names in shared.values() for name in names}
    heads = dict.fromkeys(name for told in facts.values() for name in told)
    about = tuple(name for name in heads if name not in told_once)
    rows = [
        StudyRow(
            row.name,
            tuple(facts[row.name].get(name, "") for name in about),
            tuple(
                _cell(study, row, column, metric, shown, states)
                for column, metric, shown in columns
            ),
        )
        for row in study.rows
    ]
    return StudyTable(
        name=study.name,
        title=study.title,
        source=study.source,
        shared=tuple(
            f"all rows{' but ' if rest else ''}{'; '.join(rest)}: "
            + ", ".join(f"{name} {text}" for name, text in told.items())
            for rest, told in shared.items()
        ),
        about=about,
        columns=tuple(shown for _, _, shown in columns),
        rows=tuple(_with_best(rows)),
        judged=tuple(judge(study, results, states)),
        remarks=tuple(_remarks(study, rows)),
    )


def _shared(facts: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, ...], dict[str, str]]:
    """Return what most rows tell, and all of them alike, by the rows that don't tell it."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for name in dict.fromkeys(name for told in facts.values() for name in told):
        rest = tuple(row for row, told in facts.items() if name not in told)
        texts = {told[name] for told in facts.values() if name in told}
        if len(texts) == 1 and 2 * len(rest) < len(facts):
            found.setdefault(rest, {})[name] = texts.pop()
    return found


def _columns_of(column: Column) -> Iterator[tuple[Column, str, StudyColumn]]:
    """Yield the metrics of a column that are shown: those named, else the primary one."""
    declared: Mapping[str, MetricSpec] = {one.name: one for one in column.protocol.metrics}
    names = column.metrics or [name for name, one in declared.items() if one.primary]
    for name in names:
        one = declared[name]
        shown = StudyColumn(column.name, one.label, one.unit, one.higher_is_better)
        yield column, name, shown


def _cell(
    study: Study,
    row: Row,
    column: Column,
    metric: str,
    shown: StudyColumn,
    states: Mapping[Work, State],
) -> StudyCell:
    found = [states[cell] for cell in study.cells if cell.row is row and cell.column is column]
    known = printed_record(row, column)
    wanted = printed_value(known, metric)
    if not found:
        return StudyCell(shown, state="", printed=wanted)
    records = [state.record for state in found if state.record is not None]
    scores = [one for record in records for one in record.scores if one.metric == metric]
    values = [one.value for one in scores if one.value is not None and math.isfinite(one.value)]
    if not values:
        kinds = dict.fromkeys(state.kind for state in found)
        return StudyCell(shown, state=", ".join(kinds), printed=wanted)
    alone = scores[0] if len(values) == 1 else None
    return StudyCell(
        shown,
        value=fmean(values),
        low=alone.low if alone else None,
        high=alone.high if alone else None,
        spread=stdev(values) if len(values) > 1 else None,
        seeds=len(values),
        printed=wanted,
        comparable=known is not None and all(same_place(one, known) for one in records),
    )


def printed_record(row: Row, column: Column) -> Record | None:
    """Return what was printed for a place of a study."""
    name = f"{row.printed}/{column.printed}"
    return next((one for one in published_records() if one.id == name), None)


def printed_value(record: Record | None, metric: str) -> float | None:
    """Return one metric of a printed record."""
    if record is None:
        return None
    return next((one.value for one in record.scores if one.metric == metric), None)


def _with_best(rows: Sequence[StudyRow]) -> Iterator[StudyRow]:
    """Mark the best measured value of each column that ranks."""
    best: list[float | None] = []
    for cells in zip(*(row.cells for row in rows), strict=True):
        values = [cell.value for cell in cells if cell.value is not None]
        ranked = cells[0].column.higher_is_better
        choose = max if ranked else min
        best.append(choose(values) if len(values) > 1 and ranked is not None else None)
    for row in rows:
        cells = tuple(
            replace(cell, best=cell.value is not None and cell.value == top)
            for cell, top in zip(row.cells, best, strict=True)
        )
        yield replace(row, cells=cells)


def _remarks(study: Study, rows: Sequence[StudyRow]) -> Iterator[str]:
    cells = [cell for row in rows for cell in row.cells]
    apart = [cell for cell in cells if cell.value is not None and cell.printed is not None]
    if any(not cell.comparable for cell in apart):
        yield "no difference is given where settings or data are not those of the printed value"
    waiting = [cell for cell in cells if cell.value is None and cell.state not in {"", "done"}]
    if waiting:
        yield f"{len(waiting)} of {len(cells)} values are not there yet"
    if study.note:
        yield study.note
