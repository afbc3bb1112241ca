import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vitbench.api import Evaluation, RunOptions, errors, evaluate, read_items, resolve
from vitbench.kit import distributed
from vitbench_protocols.attentive_probe import AttentiveProbe
from vitbench_protocols.attentive_probe.pooling import PoolingGrid, attention_heads
from vitbench_protocols.attentive_probe.running import _write_heat

SMALL: dict[str, Any] = {
    "resize": 32,
    "crop": 32,
    "steps": 30,
    "warmup_steps": 3,
    "batch_size": 8,
    "held_out": 0.4,
    "learning_rates": (1e-6, 1e-1),
    "weight_decays": (1e-3,),
    "pictures": 2,
}


def run(folders: Path, results: Path, **settings: Any) -> Evaluation:
    options = RunOptions(data=str(folders), results=results)
    protocol = AttentiveProbe(**{**SMALL, **settings})
    return evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)


def test_classes_of_one_color_are_told_apart_by_the_classifier_that_learns(
    folders: Path, tmp_path: Path
) -> None:
    found = run(folders, tmp_path)
    items = read_items(found.record, tmp_path)
    for score in found.record.scores:
        assert score.value == items[score.metric].mean() == 100.0
    (chosen,) = (note for note in found.record.notes if note.startswith("chosen among 2"))
    assert "10 held-out train images" in chosen
    assert "learning rate 0.1, weight decay 0.001" in chosen
    drawn = [name for name in found.record.artifacts if name.startswith("attention ")]
    assert len(drawn) == 2
    for name in drawn:
        with Image.open(found.path.parent / found.record.artifacts[name]) as picture:
            assert picture.size == (224, 224)


def test_without_a_step_every_class_is_as_good_as_any(folders: Path, tmp_path: Path) -> None:
    """The first weights stay: what they say has nothing to do with the classes."""
    found = run(folders, tmp_path, steps=1, learning_rates=(1e-12,))
    primary = found.record.primary()
    assert primary is not None
    assert primary.value is not None
    assert primary.value < 70


def test_the_choice_never_looks_at_val(folders: Path, tmp_path: Path) -> None:
    other = tmp_path / "turned"
    (other / "val").mkdir(parents=True)
    (other / "train").symlink_to(folders / "train")
    for name, turned in (("red", "blue"), ("blue", "green"), ("green", "red")):
        (other / "val" / turned).symlink_to(folders / "val" / name)
    first, second = run(folders, tmp_path).record, run(other, tmp_path).record
    assert first.notes == second.notes
    primary = second.primary()
    assert primary is not None
    assert primary.value == 0.0


def test_images_under_every_class_are_right_by_chance(undecided: Path, tmp_path: Path) -> None:
    primary = run(undecided, tmp_path).record.primary()
    assert primary is not None
    assert primary.value == pytest.approx(100 / 3)


def test_attention_finds_the_patch_that_the_query_asks_for() -> None:
    grid = PoolingGrid(1, 4, 2, seed=0)
    weights = {"query": torch.tensor([9.0, 0, 0, 0]), "key": torch.eye(4)}
    names = {f"classifiers.0.{name}": value for name, value in weights.items()}
    grid.load_state_dict({**grid.state_dict(), **names})
    patches = torch.eye(4)[None] * 9
    found = grid.attention(patches)
    assert found.shape == (1, 1, 1, 4)
    assert found[0, 0, 0, 0] > 0.999
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(1, 1, 1))


def test_even_attention_is_drawn_gray_and_a_heavy_patch_red(tmp_path: Path) -> None:
    pixels = torch.full((3, 32, 32), 100, dtype=torch.uint8)
    even, heavy = torch.full((16,), 1 / 16), torch.full((16,), 0.5 / 15)
    heavy[0] = 0.5
    for name, weights in (("even", even), ("heavy", heavy)):
        _write_heat(pixels, weights, tmp_path / f"{name}.png")
    with Image.open(tmp_path / "even.png") as picture:
        assert picture.getcolors() == [(224 * 224, (100, 100, 100))]
    with Image.open(tmp_path / "heavy.png") as picture:
        red, _, blue = np.asarray(picture)[5, 5].tolist()
        assert red > blue + 80
        assert np.asarray(picture)[200, 200].tolist() == [100, 100, 100]


def test_heads_have_64_channels_where_the_width_allows_it() -> None:
    assert [attention_heads(width) for width in (384, 768, 48, 100)] == [6, 12, 1, 1]


def test_an_empty_grid_is_refused(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.SettingError, match="must name one each"):
        run(folders, tmp_path, weight_decays=())


def one_of_two(rank: int, folders: str, results: str, cache: str) -> None:
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29747",
        "VITBENCH_CACHE": cache,
    }
    torch.set_num_threads(1)
    with distributed.process_group():
        run(Path(folders), Path(results), steps=4)


def test_two_processes_score_as_one(folders: Path, tmp_path: Path) -> None:
    context = torch.multiprocessing.get_context("spawn")
    arguments = (str(folders), str(tmp_path / "two"), str(tmp_path / "cache"))
    both = [context.Process(target=one_of_two, args=(rank, *arguments)) for rank in range(2)]
    for process in both:
        process.start()
    single = run(folders, tmp_path / "one", steps=4)
    for process in both:
        process.join(300)
        assert process.exitcode == 0
    shared = run(folders, tmp_path / "two", steps=4)
    assert not shared.ran  # the record of the two processes
    assert shared.record.environment.processes == 2
    assert shared.record.scores == single.record.scores
    found = read_items(shared.record, tmp_path / "two")
    for name, expected in read_items(single.record, tmp_path / "one").items():
        np.testing.assert_array_equal(found[name], expected)
