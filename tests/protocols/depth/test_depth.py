import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vitbench.api import Evaluation, RunOptions, Sample, evaluate, read_items, resolve
from vitbench.kit import distributed
from vitbench_protocols.depth import Depth, views
from vitbench_protocols.depth.errors import depth_scores
from vitbench_protocols.depth.learning import quarters
from vitbench_protocols.depth.views import central_view, changed

SMALL: dict[str, Any] = {"size": 32, "batch_size": 4, "pictures": 2, "hidden": 8}
LEARNING: dict[str, Any] = {**SMALL, "epochs": 8, "learning_rate": 5e-3, "augment": False}


def run(results: Path, limit: int | None = None, **settings: Any) -> Evaluation:
    options = RunOptions(data="synthetic", results=results, limit=limit)
    return evaluate(Depth(**settings), resolve("random:vit_mini_patch8_64"), options)


def values(found: Evaluation) -> dict[str, float]:
    return {score.metric: score.value or 0.0 for score in found.record.scores}


@pytest.mark.parametrize("head", ["linear", "dpt"])
def test_depth_that_is_brightness_is_learned_from_random_features(
    tmp_path: Path, head: str
) -> None:
    """Better than the same head before it has learned anything."""
    more = {"head": head}
    first = {**LEARNING, **more, "learning_rate": 0.0, "epochs": 1}
    before = values(run(tmp_path / "before", **first))
    found = run(tmp_path / "after", **{**LEARNING, **more})
    after = values(found)
    assert after["d1"] > before["d1"] + 15
    assert after["rmse"] < 0.8 * before["rmse"]
    assert before["d1"] <= before["d2"] <= before["d3"]
    items = read_items(found.record, tmp_path / "after")
    for name, value in after.items():
        assert value == items[name].mean()
    drawn = [name for name in found.record.artifacts if name.startswith("depth ")]
    assert len(drawn) == 2
    for name in drawn:
        with Image.open(found.path.parent / found.record.artifacts[name]) as picture:
            assert picture.size == (720, 240)


def test_a_perfect_a_worst_and_a_known_error() -> None:
    truth = torch.full((1, 4, 4), 2.0)
    truth[0, 0] = 0  # not known
    perfect = depth_scores(truth.clone(), truth)
    assert {name: float(value) for name, value in perfect.items()} == {
        "d1": 100.0,
        "d2": 100.0,
        "d3": 100.0,
        "rmse": 0.0,
    }
    known = depth_scores(torch.full_like(truth, 2.6), truth)  # a factor of 1.3
    assert float(known["d1"]) == 0.0
    assert float(known["d2"]) == 100.0
    assert float(known["rmse"]) == pytest.approx(0.6, abs=1e-6)
    worst = depth_scores(torch.full_like(truth, 1e-3), truth)
    assert [float(worst[name]) for name in ("d1", "d2", "d3")] == [0.0, 0.0, 0.0]
    assert torch.isnan(depth_scores(truth, torch.zeros_like(truth))["d1"]).all()


def test_depth_by_chance_is_right_as_often_as_two_draws_are_near() -> None:
    """Of ln(10) wide logarithms, two even draws differ by less than ln(1.25) in 18.4 %."""
    drawn = 10 ** torch.rand(2, 300, 300, generator=torch.Generator().manual_seed(0))
    near = float(np.log(1.25) / np.log(10))
    expected = 100 * (1 - (1 - near) ** 2)
    assert float(depth_scores(drawn[:1], drawn[1:])["d1"]) == pytest.approx(expected, abs=1)


def test_the_central_square_is_taken_of_image_and_depth_alike() -> None:
    depth = np.arange(6 * 10, dtype=np.float32).reshape(6, 10) / np.float32(10)
    image = Image.fromarray(np.repeat((10 * depth).astype(np.uint8)[..., None], 3, axis=2))
    pixels, found = central_view(Sample("a", image, depth), 6, max_depth=5.0)
    assert found.shape == (6, 6)
    known = found > 0
    assert found.max() <= 5.0
    assert not known[-1, -1]  # farther than 5 m
    torch.testing.assert_close(pixels[0].float()[known], 10 * found[known])


def test_a_random_view_moves_pixels_and_depth_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "CHANCE", 0.0)  # colors stay
    depth = torch.arange(1.0, 257.0).view(16, 16)
    pixels = depth.sub(1).byte().expand(3, -1, -1)
    found = [changed((pixels, depth), 0, position) for position in range(20)]
    for seen, deep in found:
        assert torch.equal(seen[0].float(), deep - 1)
        assert deep.shape == (16, 16)
    assert 5 < sum(not torch.equal(deep, depth) for _, deep in found) < 15


def test_colors_are_changed_in_most_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "CUT", 0.0)
    pixels = torch.randint(0, 255, (3, 8, 8), dtype=torch.uint8)
    seen = [changed((pixels, torch.ones(8, 8)), 0, position)[0] for position in range(20)]
    assert 10 < sum(not torch.equal(one, pixels) for one in seen) < 20


def test_the_four_blocks_end_the_quarters_of_a_network() -> None:
    assert quarters(12) == (2, 5, 8, 11)
    assert quarters(2) == (0, 0, 0, 1)


def one_of_two(rank: int, results: str, cache: str) -> None:
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29749",
        "VITBENCH_CACHE": cache,
    }
    torch.set_num_threads(1)
    with distributed.process_group():
        run(Path(results), limit=8, **SMALL, epochs=2)


def test_two_processes_score_as_one_up_to_rounding(tmp_path: Path) -> None:
    context = torch.multiprocessing.get_context("spawn")
    arguments = (str(tmp_path / "two"), str(tmp_path / "cache"))
    both = [context.Process(target=one_of_two, args=(rank, *arguments)) for rank in range(2)]
    for process in both:
        process.start()
    single = run(tmp_path / "one", limit=8, **SMALL, epochs=2)
    for process in both:
        process.join(300)
        assert process.exitcode == 0
    shared = run(tmp_path / "two", limit=8, **SMALL, epochs=2)
    assert not shared.ran  # the record of the two processes
    assert shared.record.environment.processes == 2
    for name, value in values(single).items():
        assert values(shared)[name] == pytest.approx(value, rel=1e-3), name
