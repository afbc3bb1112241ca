"""`--resampling fast` holds for every image of a run, or is refused."""

from pathlib import Path
from typing import Any

import pytest

from vitbench.api import (
    EvaluationProtocol,
    RunOptions,
    errors,
    evaluate,
    protocols,
    resolve,
    scorers,
)
from vitbench.data import random_crop, transforms
from vitbench.engine.context import open_data
from vitbench.reports.leaderboard import build_leaderboards
from vitbench_protocols.attentive_probe import AttentiveProbe
from vitbench_protocols.feature_pca import FeaturePca
from vitbench_protocols.health import Health
from vitbench_protocols.knn import Knn
from vitbench_protocols.layers import Layers
from vitbench_protocols.linear_probe import LinearProbe
from vitbench_protocols.logistic import Logistic
from vitbench_protocols.retrieval import Retrieval

CROP: dict[str, Any] = {"resize": 64, "crop": 64}
SHORT: dict[str, Any] = {
    "steps": 2,
    "warmup_steps": 1,
    "batch_size": 4,
    "held_out": 0.4,
    "learning_rates": (0.1,),
    "weight_decays": (0.0,),
    "pictures": 1,
}
FOLLOWING: list[EvaluationProtocol] = [
    Knn(**CROP),
    LinearProbe(**CROP, epochs=1, batch_size=12),
    Logistic(**CROP),
    AttentiveProbe(**CROP, **SHORT),
    FeaturePca(**CROP, images=2),
    Health(**CROP, images=4, view_images=2, views=2),
    Retrieval(by_class=True, view="cropped", size=64, scales=(1.0,)),
    Retrieval(by_class=True, view="cropped", size=64, scales=(1.0, 0.5)),
]


@pytest.mark.parametrize("protocol", FOLLOWING, ids=lambda protocol: protocol.name)
def test_no_image_of_a_fast_run_is_resized_by_pil(
    protocol: EvaluationProtocol,
    folders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoint = resolve("random:vit_mini_patch8_64")
    for module in (transforms, random_crop):  # an exact view has nothing to resize with
        monkeypatch.setattr(module, "FILTERS", {})
    told: dict[str, Any] = {"data": str(folders), "results": tmp_path, "sanity_check": False}
    record = evaluate(protocol, checkpoint, RunOptions(**told, resampling="fast")).record
    assert record.protocol.settings["resampling"] == "fast"
    with pytest.raises(KeyError):  # no features of fast views answer for exact ones
        evaluate(protocol, checkpoint, RunOptions(**told))


def test_others_refuse_to_be_fast_before_they_open_their_data() -> None:
    refusing = []
    for kind in (*map(protocols.get, protocols.names()), *map(scorers.get, scorers.names())):
        if not getattr(kind(), "follows_resampling", False):
            refusing.append(kind.name)
            with pytest.raises(errors.SettingError, match=f"{kind.name} does not resize"):
                open_data(kind(), RunOptions(data="nowhere", resampling="fast"), pixels=True)
    told = {type(protocol).name for protocol in FOLLOWING} - {"retrieval"} | {"layers"}
    assert {*protocols.names()} - {*refusing} == told


def test_layers_are_as_fast_as_what_they_ask_for() -> None:
    assert Layers().follows_resampling
    assert not Layers(of="correspondence").follows_resampling


def test_fast_and_exact_scores_never_share_a_column(folders: Path, tmp_path: Path) -> None:
    checkpoint = resolve("random:vit_mini_patch8_64")
    records = []
    told: dict[str, Any] = {"data": str(folders), "results": tmp_path, "sanity_check": False}
    for resampling in ("exact", "fast"):
        options = RunOptions(**told, resampling=resampling)
        records.append(evaluate(Knn(**CROP), checkpoint, options).record)
    assert len(build_leaderboards(records)) == 2
    exact, fast = records
    assert "resampling" not in exact.protocol.settings
    assert exact.protocol.spec_id != fast.protocol.spec_id
    assert exact.id != fast.id
