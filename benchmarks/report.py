"""What a report costs: ten thousand records in every form, and the resampling behind a verdict.

python benchmarks/report.py [--records N] [--images N]
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from benchmarks.items import detection_items
from benchmarks.verdict import told
from vitbench.bootstrap import RESAMPLES, paired_mean
from vitbench.records import Record, read_records, stem, write_record
from vitbench.reports.published import published_records
from vitbench.reports.render import Form, render
from vitbench.reports.table import Table, build_table

ITEMS = 50_000
COMPARED, RENDERED, RESAMPLED = 1.0, 3.0, 1.0  # seconds of CPU time


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


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


def compare_detections(images: int) -> bool:
    """Time the comparisons of three records of detection, twice; whether the second is quick.

    The first report is one of somebody else's records; an evaluation keeps the draws of its own, so
    every report of those is like the second.
    """
    with tempfile.TemporaryDirectory() as name:
        os.environ["VITBENCH_CACHE"] = f"{name}/cache"
        folder = Path(name) / "results"
        pattern = next(r for r in published_records() if r.protocol.name == "detection")
        for seed in range(3):
            record = replace(
                pattern,
                id=f"{seed}" * 64,
                source="measured",
                subject=replace(pattern.subject, name=f"run-{seed}", sha256=f"{seed}" * 64),
            )
            record = replace(record, items=f"{stem(record)}.items.npz")
            write_record(record, folder, detection_items(images, seed))
        for which in ("first", "second"):
            start = time.process_time()
            table = build_table(list(read_records(folder)), folder=folder)
            took = time.process_time() - start
            compared = sum(len(board.comparisons) for board in table.boards)
            print(f"{compared} comparisons of detections in {images:,} images, {which} report"
                  f" {took:6.2f} s of CPU time")  # fmt: skip
    what = f"report of 3 records of {images:,} images with boxes, as an evaluation leaves them"
    return told(what, took, COMPARED)


def main() -> int:
    """Print what each part takes; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=1_000)
    given = parser.parse_args()
    count = given.records
    met, slowest = [compare_detections(given.images)], 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_many(folder, count)
        start = time.process_time()
        records, table = read(folder)
        reading = time.process_time() - start
        print(f"{len(records):,} records read and sorted into {len(table.boards)} boards", end="")
        print(f" {reading:8.2f} s")
        for form in get_args(Form):
            took = seconds(partial(render, table, form))
            slowest = max(slowest, reading + took)
            print(f"  as {form:10} {took:6.2f} s, with reading {reading + took:6.2f} s")
    met.append(told(f"report of {count:,} records, read and in any form", slowest, RENDERED))
    generator = np.random.default_rng(0)
    kinds = {
        "right or wrong": 100.0 * (generator.random((2, ITEMS)) < 0.8),
        "any number": generator.normal(size=(2, ITEMS)),
    }
    for kind, (one, other) in kinds.items():
        took = seconds(partial(paired_mean, one, other))
        met.append(told(f"{RESAMPLES:,} resamples of {ITEMS:,} items, {kind}", took, RESAMPLED))
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
