from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vitbench.api import Evaluation, RunOptions, errors, evaluate, read_items, resolve
from vitbench.data.retrieval import write_demo
from vitbench_protocols.retrieval import COPIES, Retrieval
from vitbench_protocols.retrieval.precision import judge

NONE = np.zeros(0, dtype=np.int64)


@pytest.fixture(scope="module")
def landmarks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("landmarks")
    write_demo(root)
    return root


def run(data: Path, results: Path, **settings: Any) -> Evaluation:
    options = RunOptions(data=str(data), results=results)
    protocol = Retrieval(**{"size": 64, **settings})
    return evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)


def values(found: Evaluation) -> dict[str, float | None]:
    return {score.metric: score.value for score in found.record.scores}


@pytest.mark.parametrize(
    ("right", "junk", "average"),
    [
        ([0, 1, 2], [], 100.0),  # perfect
        ([3, 4], [0, 1, 2], 100.0),  # what is left out does not count
        ([], [], np.nan),
    ],
)
def test_rankings_of_a_known_score(right: list[int], junk: list[int], average: float) -> None:
    found = judge(np.arange(100), np.array(right, np.int64), np.array(junk, np.int64), (1,))
    np.testing.assert_equal(found.average, average)


def test_the_worst_ranking_has_its_answers_last() -> None:
    right = np.arange(95, 100)
    worst = judge(np.arange(100), right, NONE, (1, 10))
    drawn = [
        judge(np.random.default_rng(n).permutation(100), right, NONE, (1,)).average
        for n in range(50)
    ]
    assert worst.average < min(drawn)
    assert worst.at == (0.0, 0.0)
    assert np.mean(drawn) == pytest.approx(7, abs=3)  # by chance: little above the share of 5


def test_an_answer_beyond_the_places_shown_is_not_found() -> None:
    ranking, right = np.arange(10), np.array([0, 9])
    assert judge(ranking, right, NONE, (1,), shown=5).average == 50.0
    assert judge(ranking, right, NONE, (1,)).average > 50.0


def test_landmarks_are_found_by_random_weights_too(landmarks: Path, tmp_path: Path) -> None:
    found = run(landmarks, tmp_path)
    scores = values(found)
    assert all(score is not None for score in scores.values())
    assert (scores["map_easy"] or 0) > (scores["map_hard"] or 0) > 10
    items = read_items(found.record, tmp_path)
    assert items["ids"].tolist()[0] == "jpg/landmark0_query.png"
    for name, score in scores.items():
        assert np.nanmean(items[name]) == score
    drawn = [name for name in found.record.artifacts if name.startswith("ranking jpg/")]
    assert len(drawn) == min(8, len(items["ids"]))


def test_a_query_may_be_cut_to_its_object(landmarks: Path, tmp_path: Path) -> None:
    whole, cut = run(landmarks, tmp_path), run(landmarks, tmp_path, crop_queries=True)
    assert values(whole) != values(cut)


def test_copies_are_squared_and_pooled_twice(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for number in range(4):
        pixels = generator.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((60, 40), Image.Resampling.NEAREST)
        for name in (f"original/200{number}00.png", f"strong/200{number}01.png"):
            (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / "data" / name)
            image = image.resize((40, 40))
    (tmp_path / "data" / "whitening").symlink_to(tmp_path / "data" / "original")
    for whiten in (False, True):
        found = run(tmp_path / "data", tmp_path / "r", **{**COPIES, "size": 32, "whiten": whiten})
        assert values(found) == {
            **{"map": 100.0, "precision1": 100.0, "precision10": 100.0},
            **{"map_easy": None, "map_hard": None},
        }


def test_images_of_a_class_find_one_another(folders: Path, tmp_path: Path) -> None:
    settings = {"by_class": True, "view": "cropped", "size": 32, "scales": (1.0,)}
    found = run(folders, tmp_path, **settings)
    assert values(found)["map"] == 100.0
    assert len(read_items(found.record, tmp_path)["ids"]) == 12
    assert found.record.cost.feature_cache == "miss"  # one pass that others share
    path = found.record.artifacts[f"ranking {read_items(found.record, tmp_path)['ids'][0]}"]
    with Image.open(found.path.parent / path) as picture:
        assert picture.size == (96 * 8, 96)
        frames = [picture.getpixel((96 * place + 1, 1)) for place in range(8)]
    green, red = (40, 160, 60), (214, 40, 40)
    assert frames == [(255, 255, 255), *[green] * 3, *[red] * 4]  # three others of its class
    several = run(folders, tmp_path, **{**settings, "scales": (1.0, 0.5)})
    assert several.record.cost.feature_cache == ""
    assert (values(several)["map"] or 0) > 90


@pytest.mark.parametrize("settings", [{"scales": ()}, {"by_class": True, "whiten": True}])
def test_impossible_settings_are_refused(
    folders: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    with pytest.raises(errors.VitbenchError):
        run(folders, tmp_path, **settings)


def test_part_of_the_database_is_said(landmarks: Path, tmp_path: Path) -> None:
    options = RunOptions(data=str(landmarks), results=tmp_path, limit=("database=10",))
    found = evaluate(Retrieval(size=64), resolve("random:vit_mini_patch8_64"), options)
    assert any("images that answer queries are left out" in note for note in found.record.notes)
    assert torch.tensor(values(found)["map"]).isfinite()
