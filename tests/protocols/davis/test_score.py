"""`vitbench score davis`: anybody's masks, right ones, wrong ones, ones that can't be scored."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.tiny_clips import HEIGHT, WIDTH, label_map, write_clip, write_davis, write_labels
from vitbench.cli.main import main
from vitbench.engine.evaluate import score
from vitbench.engine.run import Evaluation, RunOptions
from vitbench.errors import DatasetError
from vitbench_protocols.davis.score import DavisMasks


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_davis(tmp_path / "davis")


@pytest.fixture
def predicted(root: Path, tmp_path: Path) -> Path:
    """Return a copy of the truth."""
    return Path(shutil.copytree(root / "Annotations/480p", tmp_path / "predicted"))


def run(predicted: Path, root: Path, **settings: Any) -> Evaluation:
    options = RunOptions(data=str(root), results=predicted.parent / "results", workers=2)
    return score(DavisMasks(**settings), predicted, options)


def values(done: Evaluation) -> dict[str, float | None]:
    return {found.metric: found.value for found in done.record.scores}


def refused(predicted: Path, root: Path, **settings: Any) -> str:
    with pytest.raises(DatasetError) as caught:
        run(predicted, root, **settings)
    return str(caught.value)


def test_the_truth_scores_100(predicted: Path, root: Path) -> None:
    found = values(run(predicted, root))
    assert found == {
        "jf_mean": 100.0,
        "j_mean": 100.0,
        "j_recall": 100.0,
        "j_decay": 0.0,
        "f_mean": 100.0,
        "f_recall": 100.0,
        "f_decay": 0.0,
    }


def test_empty_masks_score_0(predicted: Path, root: Path) -> None:
    for path in predicted.glob("*/*.png"):
        write_labels(np.zeros((HEIGHT, WIDTH), np.uint8), path)
    assert values(run(predicted, root))["jf_mean"] == 0.0


def test_the_first_and_the_last_frame_are_not_scored(predicted: Path, root: Path) -> None:
    for name in ("00000.png", "00004.png"):
        (predicted / "duo" / name).unlink()
    assert values(run(predicted, root))["jf_mean"] == 100.0


def test_an_object_that_is_never_predicted_scores_0(predicted: Path, root: Path) -> None:
    for path in predicted.glob("duo/*.png"):
        write_labels(label_map(int(path.stem), objects=1), path)
    found = values(run(predicted, root))
    assert found["j_mean"] == pytest.approx(100 * 2 / 3)


def test_changed_masks_are_scored_anew(predicted: Path, root: Path) -> None:
    before = run(predicted, root)
    for path in predicted.glob("duo/*.png"):
        write_labels(label_map(0), path)
    after = run(predicted, root)
    assert after.record.id != before.record.id
    assert values(after)["jf_mean"] != 100.0


def test_another_folder_of_masks_can_be_the_truth(predicted: Path, root: Path) -> None:
    done = run(predicted, Path("nowhere"), reference=root / "Annotations/480p")
    assert values(done)["jf_mean"] == 100.0


def test_a_missing_mask_is_named(predicted: Path, root: Path) -> None:
    (predicted / "duo/00002.png").unlink()
    assert "duo/00002.png" in refused(predicted, root)


def test_a_missing_clip_is_named(predicted: Path, root: Path) -> None:
    shutil.rmtree(predicted / "solo")
    text = refused(predicted, root)
    assert "clip 'solo'" in text
    assert "no folder of the clip" in text


def test_colors_are_no_labels(predicted: Path, root: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(predicted / "duo/00003.png")
    text = refused(predicted, root)
    assert "duo/00003.png" in text
    assert "mode RGB" in text


def test_a_mask_of_the_wrong_resolution_is_named(predicted: Path, root: Path) -> None:
    write_labels(np.ones((2 * HEIGHT, 2 * WIDTH), np.uint8), predicted / "duo/00003.png")
    text = refused(predicted, root)
    assert "duo/00003.png" in text
    assert "96x128" in text


def test_more_objects_than_there_are_are_refused_or_dropped(predicted: Path, root: Path) -> None:
    path = predicted / "solo/00002.png"
    labels = label_map(2, objects=1, still=True)
    labels[:4, :4] = 7
    write_labels(labels, path)
    text = refused(predicted, root)
    assert "solo/00002.png" in text
    assert "label 7" in text
    assert values(run(predicted, root, extra_objects="drop"))["jf_mean"] == 100.0


def test_void_of_the_truth_is_background(predicted: Path, root: Path) -> None:
    labels = label_map(2)
    labels[:4, :] = 255
    write_labels(labels, root / "Annotations/480p/duo/00002.png")
    assert values(run(predicted, root))["jf_mean"] == 100.0


def test_masks_of_davis_2016_are_scored_in_both_forms(tmp_path: Path) -> None:
    masks = [label_map(n, objects=1) for n in range(4)]
    root = tmp_path / "davis"
    write_clip(root, "solo", [mask * 255 for mask in masks], year="2016")
    for name, factor in (("ones", 1), ("bytes", 255)):
        for index, mask in enumerate(masks):
            write_labels(mask * factor, tmp_path / name / "solo" / f"{index:05d}.png")
        assert values(run(tmp_path / name, root, year=2016))["jf_mean"] == 100.0


def test_the_command_scores_against_reference_masks(
    predicted: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["score", "davis", predicted, "--reference", root / "Annotations/480p"]
    words += ["--results", predicted.parent / "results"]
    assert main([str(word) for word in words]) == 0
    assert "100.00%" in capsys.readouterr().out
