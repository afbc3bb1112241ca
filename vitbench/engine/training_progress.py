"""The progress of the training run that a checkpoint comes from."""

import json
from pathlib import Path

TAIL = 65_536  # bytes of the journal's end that are looked at


def steps_trained(journal: Path) -> tuple[int, int] | None:
    """Return the steps done and the steps planned, from the last line of a metric log.

    None where there is no journal or none of its last lines tells.
    """
    try:
        with journal.open("rb") as stream:
            stream.seek(max(0, journal.stat().st_size - TAIL))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # cut off by a kill, or not ours
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            planned = row.get("of")
            if isinstance(planned, int):
                return row["step"], planned
    return None
