"""mIoU, aAcc and mAcc against stored values, exactly."""

from pathlib import Path

import numpy as np
import pytest

from vitbench_protocols.segmentation.classes import Classes
from vitbench_protocols.segmentation.scores import Tally, confusion, summarize, write_classes

VALUES = Path(__file__).parent / "values"


def test_scores_and_classes_equal_the_stored_ones(tmp_path: Path) -> None:
    golden = np.load(VALUES / "ade_metrics.npz", allow_pickle=False)
    number = int(golden["num_classes"])
    classes = Classes(tuple(range(1, number + 1)), tuple(f"class {n}" for n in range(number)))
    tally = Tally(number)
    for place, (raw, predicted) in enumerate(zip(golden["gt_raw"], golden["pred"], strict=True)):
        truth = classes.indices(raw.astype(np.int32))
        tally.add(place, confusion(truth, predicted.astype(np.int16), number))
    found = {score.metric: score.value for score in summarize(tally.items(["a", "b", "c"]))}
    for metric, name in (("miou", "mIoU"), ("aacc", "aAcc"), ("macc", "mAcc")):
        assert found[metric] == pytest.approx(100 * float(golden[name]), rel=1e-14)
    write_classes(tally.total, classes, tmp_path / "classes.csv")
    rows = [line.split(",") for line in (tmp_path / "classes.csv").read_text().splitlines()[1:]]
    for row, iou, accuracy in zip(rows, golden["IoU"], golden["Acc"], strict=True):
        assert row[2] == f"{100 * iou:.2f}"
        assert row[3] == ("" if np.isnan(accuracy) else f"{100 * accuracy:.2f}")
