"""Runs that failed: one line in a report, the whole where it is asked for."""

from collections.abc import Sequence

from vitbench.records import Record
from vitbench.reports import escape


def in_a_line(record: Record) -> str:
    """Return why a run failed in one line: the first of its error."""
    told = record.error.message.strip().partition("\n")[0] if record.error else ""
    name = escape.plain(record.subject.name, escape.NAME)
    return f"failed: {name} on {record.protocol.name}: {told or 'no reason was kept'}"


def whole(failed: Sequence[Record]) -> str:
    """Return everything that the records of failed runs tell, a paragraph each."""
    return "\n\n".join(map(_paragraph, failed)) or "no run failed"


def _paragraph(record: Record) -> str:
    error = record.error
    data, run = record.dataset, record.environment
    facts = {
        "data": f"{data.name}/{data.split}" if data else "not read yet",
        "error": f"{error.kind}" if error else "",
        "command": record.command,
        "started": f"{record.started_at}, ran {record.cost.seconds:.1f} s",
        "machine": f"{run.device}, {run.precision}, {run.processes} processes, {run.platform}",
        "notes": "; ".join(record.notes),
    }
    told = error.message.strip() if error else "no reason was kept"
    lines = [f"{record.subject.name} on {record.protocol.name} ({record.id[:8]})"]
    lines += [f"  {line}" for line in told.split("\n")]
    lines += [f"  {name:8} {text}" for name, text in facts.items() if text]
    return "\n".join(escape.plain(line, 10 * escape.WIDTH) for line in lines)
