"""Training curves: what differs between runs first, what is equal once."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vitbench.records import Record
from vitbench.reports.page.training import build_training
from vitbench.reports.table import build_table

MakeRecord = Callable[..., Record]


def test_what_differs_comes_first_and_what_is_equal_is_drawn_once_and_aside(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    records = []
    for number, name in enumerate(("one", "other")):
        folder = tmp_path / "knn" / name
        folder.mkdir(parents=True)
        rows = [
            {"step": step, "loss": 2.0 - step * number, "kl": 1.0 * step, "learning_rate": step}
            for step in range(3)
        ]
        (folder / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
        records.append(make_record(name, artifacts={"training": f"{name}/log.jsonl"}))
    records[0] = replace(records[0], seed=1)
    found = build_training(build_table(records, folder=tmp_path), {})
    assert [chart.title for chart in found.charts] == ["loss over steps"]
    assert [chart.title for chart in found.alike] == ["kl over steps", "learning_rate over steps"]
    assert found.alike[0].drawing.count("<polyline") == 1
