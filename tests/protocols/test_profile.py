from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vitbench.api import Evaluation, RunOptions, errors, evaluate, read_items, resolve
from vitbench.models.timm_backbone import build_backbone
from vitbench_protocols.profile import Profile, _of_median

SMALL: dict[str, Any] = {"sizes": (64, 32), "batch_size": 2, "rounds": 5}


def run(results: Path, **settings: Any) -> Evaluation:
    options = RunOptions(results=results)
    protocol = Profile(**{**SMALL, **settings})
    return evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)


def test_a_run_times_every_size_and_needs_no_data(tmp_path: Path) -> None:
    found = run(tmp_path)
    scores = {score.metric: score for score in found.record.scores}
    speed = scores["images_per_second"]
    assert (speed.low or 0) <= (speed.value or 0) <= (speed.high or 0)
    assert scores["memory"].value is None
    items = read_items(found.record, tmp_path)
    assert np.median(items["images_per_second"]) == speed.value
    folder = found.path.parent
    table = (folder / found.record.artifacts["resolutions"]).read_text().splitlines()
    assert [line.split(",")[0] for line in table[1:]] == ["64", "32"]
    assert "<polyline" in (folder / found.record.artifacts["speed by size"]).read_text()
    assert any(note.startswith("timed on cpu") for note in found.record.notes)


def test_operations_and_parameters_are_those_of_the_network(tmp_path: Path) -> None:
    """Products by hand: patches, then for each block q k v, both of attention, out, and the MLP."""
    backbone = build_backbone("vit_mini_patch8_64", seed=0)
    info = backbone.info
    tokens, width = 64 + info.prefix_tokens, info.embed_dim
    block = 2 * tokens * width * (12 * width + 2 * tokens)
    expected = info.depth * block + 2 * 64 * width * 3 * 8 * 8
    scores = {score.metric: score.value for score in run(tmp_path).record.scores}
    assert scores["flops"] == pytest.approx(expected / 1e9, rel=1e-6)
    count = sum(parameter.numel() for parameter in backbone.parameters())
    assert scores["parameters"] == pytest.approx(count / 1e6)


def test_the_interval_of_a_median_holds_it_and_widens_with_the_spread() -> None:
    values = np.arange(100.0)
    low, high = _of_median(values)
    assert (low, high) == (40.0, 60.0)
    assert _of_median(np.ones(3)) == (1.0, 1.0)


def test_a_size_that_a_network_cannot_take_is_refused_before_any_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fixed(_: object, height: int, width: int) -> None:
        raise errors.MissingAbility(f"no images of {height} x {width}")

    monkeypatch.setattr("vitbench.models.backbone.Backbone.check_images", fixed)
    with pytest.raises(errors.MissingAbility):
        run(tmp_path)
    assert torch.is_grad_enabled()
