from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vitbench.api import (
    Evaluation,
    RunOptions,
    errors,
    evaluate,
    load,
    read_items,
    resolve,
)
from vitbench.kit import identity_of
from vitbench_protocols import knn
from vitbench_protocols.knn import Knn
from vitbench_protocols.layers import Layers
from vitbench_protocols.layers.block import UpToBlock

NETWORK = "random:vit_mini_patch8_64"


def run(protocol: Any, results: Path, data: str) -> Evaluation:
    options = RunOptions(data=data, results=results, limit=100)
    return evaluate(protocol, resolve(NETWORK), options)


def values(found: Evaluation) -> dict[str, float | None]:
    return {score.metric: score.value for score in found.record.scores}


def test_the_last_block_scores_as_the_protocol_itself_and_one_pass_serves_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Layers, "protocol", property(lambda _: Knn(resize=48, crop=48)))
    found = run(Layers(), tmp_path, "synthetic")
    alone = run(Knn(resize=48, crop=48), tmp_path, "synthetic")
    assert values(found)["last"] == values(alone)["top1_k20"]
    assert found.record.cost.images == 200  # each image of train and val passed once
    assert alone.record.cost.feature_cache == "hit"
    depth = load(NETWORK).info.depth
    rows = (found.path.parent / found.record.artifacts["blocks"]).read_text().splitlines()
    assert rows[0] == "block,knn top-1 (k=20)"
    scores = [float(row.split(",")[1]) for row in rows[1:]]
    assert len(scores) == depth
    assert max(scores) == pytest.approx(values(found)["best"], abs=1e-3)
    assert values(found)["best_block"] == 1 + int(np.argmax(scores))
    items, whole = read_items(found.record, tmp_path), read_items(alone.record, tmp_path)
    np.testing.assert_array_equal(items["last"], whole["top1_k20"])
    np.testing.assert_array_equal(items["gain"], items["best"] - items["last"])
    curve = found.path.parent / found.record.artifacts["curve"]
    assert "<polyline" in curve.read_text()


def test_perfect_worst_and_chance_classes_are_so_for_the_last_block(
    folders: Path, undecided: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Layers, "protocol", property(lambda _: Knn(resize=32, crop=32)))
    turned = tmp_path / "turned"
    (turned / "val").mkdir(parents=True)
    (turned / "train").symlink_to(folders / "train")
    for name, other in (("red", "blue"), ("blue", "green"), ("green", "red")):
        (turned / "val" / other).symlink_to(folders / "val" / name)
    found = [values(run(Layers(), tmp_path, str(data))) for data in (folders, turned, undecided)]
    assert [one["last"] for one in found] == [100.0, 0.0, pytest.approx(100 / 3)]
    assert found[0]["gain"] == 0.0


def test_a_dense_protocol_sees_every_block_too(tmp_path: Path) -> None:
    found = run(Layers(of="correspondence", of_preset="small"), tmp_path, "synthetic")
    last, best = values(found)["last"], values(found)["best"]
    assert last is not None
    assert best is not None
    assert 0 <= last <= best <= 100
    assert found.record.dataset is not None
    assert found.record.dataset.kind == "pairs"


def test_a_block_gives_the_features_that_the_whole_gives_for_it() -> None:
    whole = load(NETWORK)
    view = UpToBlock(whole, 1)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        (expected,), (found,) = whole(images, (1,)), view(images)
    assert torch.equal(found.pooled, expected.pooled)
    assert torch.equal(found.patches, expected.patches)
    assert (view.info.depth, view.info.embed_dim) == (2, whole.info.embed_dim)
    with pytest.raises(errors.SettingError, match="layer -3 does not exist"):
        view(images, (-3,))
    with pytest.raises(errors.MissingAbility, match="keys"):
        view.keys(images)
    torch.testing.assert_close(
        UpToBlock(whole, whole.info.depth - 1).keys(images), whole.keys(images)
    )


def test_what_moves_a_score_of_the_protocol_moves_the_identity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = Layers()
    assert first.spec == identity_of(Knn())
    assert identity_of(first) != identity_of(Layers(of="logistic"))
    monkeypatch.setattr(knn.Knn, "version", 99)
    assert identity_of(Layers()) != identity_of(first)


@pytest.mark.parametrize("name", ["layers", "health", "profile"])
def test_a_protocol_without_a_percentage_is_refused(name: str) -> None:
    with pytest.raises(errors.SettingError, match="gives no percentage"):
        Layers(of=name)


def test_a_mistyped_protocol_is_named() -> None:
    with pytest.raises(errors.UnknownName, match="knm"):
        Layers(of="knm")
