"""A record as a small table, for notebooks."""

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitbench.records.schema import Record, RecordedScore


def record_html(record: "Record") -> str:
    """Return subject, protocol, data, scores and notes of a record as HTML; all text is escaped."""
    head = f"{record.subject.name} · {record.protocol.name} {record.protocol.preset}".strip()
    found = record.dataset
    data = f"{found.name}/{found.split}, {found.items:,} items" if found else "no data"
    rows = "".join(f"<tr>{_row(score)}</tr>" for score in record.scores)
    notes = "".join(f"<br><small>† {escape(note)}</small>" for note in record.notes)
    return (
        f"<table><caption><b>{escape(head)}</b> · {escape(data)}{notes}</caption>"
        f"<tr><th>score</th><th>value</th><th>95 %</th></tr>{rows}</table>"
    )


def _row(score: "RecordedScore") -> str:
    value = "-" if score.value is None else f"{score.value:.2f}{escape(score.unit)}"
    known = score.low is not None and score.high is not None
    interval = f"{score.low:.2f} … {score.high:.2f}" if known else ""
    label = f"<b>{escape(score.label)}</b>" if score.primary else escape(score.label)
    return f"<td>{label}</td><td>{value}</td><td>{interval}</td>"
