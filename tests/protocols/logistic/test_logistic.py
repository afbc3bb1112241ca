from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vitbench.api import Evaluation, RunOptions, errors, evaluate, read_items, resolve
from vitbench_protocols.logistic import Logistic
from vitbench_protocols.logistic.fitting import fit
from vitbench_protocols.logistic.subsets import few, held_out

SMALL: dict[str, Any] = {"resize": 32, "crop": 32, "c_values": (0.01, 1.0, 100.0)}
TARGETS = np.repeat(np.arange(3), (5, 9, 2))


def run(folders: Path, results: Path, **settings: Any) -> Evaluation:
    options = RunOptions(data=str(folders), results=results)
    protocol = Logistic(**{**SMALL, **settings})
    return evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)


def values(found: Evaluation) -> dict[str, float | None]:
    return {score.metric: score.value for score in found.record.scores}


def test_classes_of_one_color_are_told_apart(folders: Path, tmp_path: Path) -> None:
    found = run(folders, tmp_path)
    assert values(found) == {"top1": 100.0, "top5": 100.0, "top1_deviation": None}
    assert any(note.startswith("C chosen on held-out") for note in found.record.notes)
    table = (found.path.parent / found.record.artifacts["sweep"]).read_text().splitlines()
    assert table[0] == "C,held-out top-1"
    assert len(table) == 4
    assert "<polyline" in (found.path.parent / found.record.artifacts["curve"]).read_text()


def test_labels_that_say_nothing_are_guessed_by_chance_and_shifted_ones_never() -> None:
    generator = torch.Generator().manual_seed(0)
    centers = 10 * torch.eye(4, dtype=torch.float64)
    labels = torch.arange(400) % 4
    features = centers[labels] + torch.randn(400, 4, generator=generator, dtype=torch.float64)
    found = fit(features, labels, [1.0]).ranked(features, 1)[0, :, 0]
    assert (found == labels).double().mean() == 1.0
    assert (found == (labels + 1) % 4).double().mean() == 0.0
    noise = torch.randn(2000, 4, generator=generator, dtype=torch.float64)
    by_chance = fit(noise[:1000], torch.arange(1000) % 4, [1.0]).ranked(noise[1000:], 1)[0, :, 0]
    assert (by_chance == torch.arange(1000) % 4).double().mean() == pytest.approx(0.25, abs=0.05)


def test_a_class_without_training_images_is_never_predicted() -> None:
    features = torch.eye(4, dtype=torch.float64)
    found = fit(features, torch.tensor([0, 2, 2, 5]), [10.0])
    assert found.classes.tolist() == [0, 2, 5]
    assert found.ranked(features, 5).shape == (1, 4, 3)


@pytest.mark.parametrize("c", [1e-12, 1e9])
def test_any_strength_ends_in_finite_numbers(c: float) -> None:
    features = torch.arange(12, dtype=torch.float64).view(6, 2)
    found = fit(features, torch.tensor([0, 0, 0, 1, 1, 1]), [c])
    assert found.weight.isfinite().all()
    assert found.bias.isfinite().all()


def test_equal_features_give_the_most_frequent_class() -> None:
    found = fit(torch.ones(5, 3, dtype=torch.float64), torch.tensor([0, 1, 1, 1, 2]), [1.0])
    assert found.ranked(torch.ones(1, 3, dtype=torch.float64), 1).item() == 1


def test_values_of_c_fitted_together_are_those_fitted_alone() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(60, 5, generator=generator, dtype=torch.float64)
    labels = torch.arange(60) % 3
    both = fit(features, labels, [0.01, 10.0])
    alone = fit(features, labels, [10.0])
    torch.testing.assert_close(both.weight[1], alone.weight[0], atol=1e-6, rtol=0)


def test_shots_are_of_each_class_and_more_shots_hold_the_fewer() -> None:
    def rows(shots: int, draw: int = 0) -> set[int]:
        return set(few(TARGETS, shots=shots, percent=0, seed=0, draw=draw).tolist())

    assert np.bincount(TARGETS[sorted(rows(3))]).tolist() == [3, 3, 2]  # one class has two
    assert rows(1) < rows(2) < rows(4)
    assert rows(2, draw=0) != rows(2, draw=1)
    assert rows(0) == set(range(len(TARGETS)))


def test_a_percentage_is_of_each_class_and_leaves_none_out() -> None:
    rows = few(TARGETS, shots=0, percent=40, seed=0, draw=0)
    assert np.bincount(TARGETS[rows]).tolist() == [2, 4, 1]
    assert len(few(TARGETS, shots=0, percent=100, seed=0, draw=0)) == len(TARGETS)


def test_held_out_images_are_apart_from_those_that_are_fitted() -> None:
    rows = np.arange(10, 50)
    fitted, apart = held_out(rows, 0.1, seed=0, draw=0)
    assert len(apart) == 4
    assert sorted([*fitted, *apart]) == rows.tolist()
    with pytest.raises(errors.SettingError, match="too few to hold out"):
        held_out(rows[:5], 0.1, seed=0, draw=0)


def test_draws_are_averaged_item_by_item(folders: Path, tmp_path: Path) -> None:
    found = run(folders, tmp_path, shots=1, draws=3, c_values=(1.0,))
    items = read_items(found.record, tmp_path)
    assert np.isin(items["top1"].round(6), np.round(100 * np.arange(4) / 3, 6)).all()
    for name in ("top1", "top5"):
        assert values(found)[name] == items[name].mean()
    assert values(found)["top1_deviation"] is not None
    assert "sweep" not in found.record.artifacts


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"shots": 1, "percent": 1.0}, "both say"),
        ({"c_values": ()}, "must name one"),
        ({"c_values": (1.0, 0.1)}, "must rise"),
    ],
)
def test_settings_that_contradict_are_refused(
    folders: Path, tmp_path: Path, settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(errors.SettingError, match=text):
        run(folders, tmp_path, **settings)


@pytest.mark.parametrize("scaling", ["l2", "centered-l2", "standardized"])
def test_every_scaling_tells_colors_apart(folders: Path, tmp_path: Path, scaling: str) -> None:
    assert values(run(folders, tmp_path, scaling=scaling))["top1"] == 100.0
