"""What a report costs: ten thousand records in every form, and the resampling behind a verdict.

python benchmarks/report.py [--records N]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from vitbench.bootstrap import RESAMPLES, paired_mean
from vitbench.records import Record, read_records, write_record
from vitbench.reports.published import published_records
from vitbench.reports.render import Form, render
from vitbench.reports.table import Table, build_table

ITEMS = 50_000


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def write_many(folder: Path, count: int) -> None:
    """Write records like those of many runs on a few boards."""
    pattern = next(record for record in published_records() if record.protocol.name == "knn")
    for number in range(count):
        protocol = replace(pattern.protocol, spec_id=f"{number % 5}" * 16)
        subject = replace(pattern.subject, name=f"run-{number:05d}", sha256=f"{number:064x}")
        record = replace(
            pattern,
            id=f"{number:064x}"[::-1],
            source="measured",
            subject=subject,
            protocol=protocol,
        )
        write_record(record, folder)


def read(folder: Path) -> tuple[list[Record], Table]:
    """Read a folder and build its table, as the command does."""
    records = [record for record in read_records(folder) if isinstance(record, Record)]
    return records, build_table(records, folder=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    count = parser.parse_args().records
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_many(folder, count)
        start = time.perf_counter()
        records, table = read(folder)
        reading = time.perf_counter() - start
        print(f"{len(records):,} records read and sorted into {len(table.boards)} boards", end="")
        print(f" {reading:8.2f} s")
        for form in get_args(Form):
            took = seconds(partial(render, table, form))
            print(f"  as {form:10} {took:6.2f} s, with reading {reading + took:6.2f} s  goal 3 s")
    generator = np.random.default_rng(0)
    kinds = {
        "right or wrong": 100.0 * (generator.random((2, ITEMS)) < 0.8),
        "any number": generator.normal(size=(2, ITEMS)),
    }
    for kind, (one, other) in kinds.items():
        took = seconds(partial(paired_mean, one, other))
        print(f"{RESAMPLES:,} resamples of {ITEMS:,} items, {kind:15} {took:6.2f} s  goal 5 s")


if __name__ == "__main__":
    main()
