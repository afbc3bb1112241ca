from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vitbench.api import Evaluation, ImageView, RunOptions, evaluate, read_items, resolve
from vitbench_protocols.health import Health, passes
from vitbench_protocols.health import statistics as found_by
from vitbench_protocols.health.passes import ChangedViews, Passed

SMALL = Health(images=8, view_images=4, views=2, resize=64, crop=64)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def run(folders: Path, results: Path, protocol: Health = SMALL) -> Evaluation:
    options = RunOptions(data=str(folders), results=results)
    return evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)


def test_features_on_a_line_have_rank_one_and_an_even_spectrum_the_full_rank() -> None:
    line = torch.outer(torch.arange(1.0, 9), torch.ones(4))
    assert found_by.rankme(line) == pytest.approx(1.0, abs=1e-4)
    assert found_by.rankme(torch.eye(6)) == pytest.approx(6.0, abs=1e-4)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_the_decay_of_a_power_law_is_its_exponent(alpha: float) -> None:
    assert found_by.decay(np.arange(1.0, 300) ** -alpha) == pytest.approx(alpha)
    assert found_by.decay(np.arange(1.0, 7) ** -alpha) == pytest.approx(alpha)


def test_the_decay_equals_the_reference() -> None:
    """`stringer_get_powerlaw(spectrum, arange(10, 100))`, the code that alpha-ReQ's copies."""
    ranks = np.arange(1, 201)
    wavy = ranks**-1.3 * (1 + 0.3 * np.sin(ranks / 7))
    assert found_by.decay(wavy) == pytest.approx(1.41271773)


def test_a_spectrum_of_one_value_has_no_decay() -> None:
    assert np.isnan(found_by.decay(np.array([1.0, 0, 0])))


def test_lidar_counts_what_views_leave() -> None:
    images = drawn(40, 1, 6)
    same = images.expand(-1, 5, -1)
    assert found_by.lidar(same) > 4  # nothing but images differs
    noise = drawn(40, 5, 6, seed=1)
    noise[..., 0] = 100 * images[..., 0]
    assert found_by.lidar(noise) < 1.5  # one direction tells images apart
    assert found_by.lidar(drawn(40, 5, 6)) > 3


def test_equal_patches_are_anisotropic_and_opposite_ones_are_not() -> None:
    row = drawn(1, 8)
    assert found_by.anisotropy(row.expand(5, -1)) == pytest.approx(100.0)
    assert found_by.anisotropy(torch.cat([row, -row])) == pytest.approx(-100.0)
    assert abs(found_by.anisotropy(drawn(2000, 64))) < 1


def test_places_are_read_where_features_hold_them_and_nowhere_else() -> None:
    places = drawn(60, 9, 2).clamp(-1, 1)
    hidden = places @ drawn(2, 16, seed=2) + 0.01 * drawn(60, 9, 16, seed=3)
    assert found_by.explained(found_by.read_places(hidden, places)) > 99
    noise = found_by.read_places(drawn(60, 9, 16, seed=4), places)
    assert noise.shape == (30, 2)
    assert found_by.explained(noise) < 5


def test_changed_views_show_the_same_image() -> None:
    pixels = np.arange(40 * 40 * 3, dtype=np.int64).reshape(40, 40, 3) % 251
    views = ChangedViews(ImageView(40, 32), 4)(Image.fromarray(pixels.astype(np.uint8)))
    whole, flipped, moved, zoomed = views
    assert torch.equal(flipped.flip(2), whole)
    assert torch.equal(moved[:, :-4, :-4], whole[:, 4:, 4:])
    assert not torch.equal(zoomed, whole)


def test_a_run_measures_all_it_declares_and_draws_it(folders: Path, tmp_path: Path) -> None:
    found = run(folders, tmp_path)
    scores = {score.metric: score.value for score in found.record.scores}
    assert 1 < (scores["rankme"] or 0) <= 8
    items = read_items(found.record, tmp_path)
    assert len(set(items["ids"].tolist())) == 8
    for name in ("artifacts", "flip", "shift", "scale"):
        assert len(items[name]) == 8
        assert items[name].mean() == scores[name]
    folder = found.path.parent
    table = (folder / found.record.artifacts["blocks"]).read_text().splitlines()
    assert table[0] == "block,rank,anisotropy,position"
    assert len(table) == 7  # six blocks
    drawings = [path for path in found.record.artifacts.values() if path.endswith(".svg")]
    assert len(drawings) == 5
    for path in drawings:
        assert "nan" not in (folder / path).read_text()
    assert sum(name.startswith("norms val/") for name in found.record.artifacts) == 8


def test_high_norms_are_said(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = passes.pass_images

    def with_artifacts(*words: Any) -> Passed:
        passed = original(*words)
        assert passed is not None
        norms = passed.norms.clone()
        norms[:, 0, 0] *= 100
        return replace(passed, norms=norms)

    monkeypatch.setattr("vitbench_protocols.health.running.pass_images", with_artifacts)
    found = run(folders, tmp_path)
    scores = {score.metric: score.value for score in found.record.scores}
    assert scores["artifacts"] == pytest.approx(100 / 64)
    assert any("registers would help" in note for note in found.record.notes)
