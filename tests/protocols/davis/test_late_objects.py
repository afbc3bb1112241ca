"""Objects that appear after the first frame: followed and scored from their first mask on."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tiny_clips import label_map, write_clip, write_labels
from vitbench import evaluate
from vitbench.engine.options import RunOptions
from vitbench.engine.run import Evaluation
from vitbench.engine.score import score
from vitbench.errors import DatasetError, SettingError
from vitbench_protocols.davis.score import DavisMasks

WHOLE = label_map(0, still=True)
FIRST = np.where(WHOLE == 2, 0, WHOLE).astype(np.uint8)  # object 2 enters in frame 1


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_clip(tmp_path / "vos", "late", [FIRST, *[WHOLE] * 4])
    return tmp_path / "vos"


def scored(masks: Path, root: Path) -> Evaluation:
    options = RunOptions(data=str(root), results=masks.parent / "results", workers=2)
    return score(DavisMasks(late_objects=True), masks, options)


def j_mean(done: Evaluation) -> float | None:
    return next(one.value for one in done.record.scores if one.metric == "j_mean")


def test_an_object_does_not_count_up_to_the_frame_in_which_it_is_given(
    root: Path, tmp_path: Path
) -> None:
    masks = Path(shutil.copytree(root / "Annotations/480p", tmp_path / "masks"))
    write_labels(FIRST, masks / "late/00001.png")
    assert j_mean(scored(masks, root)) == 100.0
    write_labels(FIRST, masks / "late/00002.png")  # lost: 0 in one of its frames 2 and 3
    assert j_mean(scored(masks, root)) == (100.0 + 50.0) / 2


def test_it_is_followed_from_its_first_mask_on(root: Path, tmp_path: Path) -> None:
    found = evaluate(
        "davis",
        "pixels:8",
        data=str(root),
        results=tmp_path / "results",
        late_objects=True,
        k=1,
        workers=2,
    )
    folder = found.path.parent / found.record.artifacts["masks"] / "late"
    shown = [set(np.unique(np.array(Image.open(path)))) for path in sorted(folder.glob("*.png"))]
    assert shown == [{0, 1}, *[{0, 1, 2}] * 4]
    given = np.array(Image.open(folder / "00001.png"))
    np.testing.assert_array_equal(given == 2, WHOLE == 2)
    assert (j_mean(found) or 0) > 60
    assert len((found.path.parent / found.record.artifacts["objects"]).read_text().split()) == 3


def test_it_has_to_be_asked_for(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="--late-objects"):
        evaluate("davis", "pixels:8", data=str(root), results=tmp_path)


def test_davis_2016_has_one_object() -> None:
    with pytest.raises(SettingError, match="--year 2016"):
        _ = DavisMasks(late_objects=True, year=2016).splits
