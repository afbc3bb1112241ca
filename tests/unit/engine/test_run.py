import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vitbench import api, cache
from vitbench.engine import cached
from vitbench.errors import CheckpointError, DatasetNotFound
from vitbench.folder_lock import LOCK, folder_lock
from vitbench.models.export import save_backbone
from vitbench.models.factory import build
from vitbench.models.timm_backbone import build_backbone
from vitbench.records import Record, read_record, read_records
from vitbench.reports.leaderboard import build_leaderboards
from vitbench_protocols.davis import Davis
from vitbench_protocols.knn import Knn


def test_the_journal_of_a_training_is_kept_beside_the_record_of_its_checkpoint(
    tmp_path: Path, folders: Path
) -> None:
    backbone = build_backbone("vit_mini_patch8_64", seed=0)
    save_backbone(backbone, tmp_path / "run" / "backbone.safetensors", method="dino")
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    options = api.RunOptions(data=str(folders), results=tmp_path / "results", device="cpu")
    found = api.evaluate(
        Knn(resize=32, crop=32, engine="torch"), api.resolve(str(tmp_path / "run")), options
    )
    copy = found.path.parent / found.record.artifacts["training"]
    assert copy.read_text() == '{"step": 1, "loss": 2.0}\n'


ARCH = "vit_micro_patch8_32"
KNN = Knn(resize=32, crop=32, engine="torch")


@pytest.fixture
def weights() -> dict[str, Tensor]:
    """Weights that half precision holds exactly."""
    state = build(ARCH, seed=0).state_dict()
    return {name: value.half().float() for name, value in state.items()}


@pytest.fixture
def options(tmp_path: Path, folders: Path) -> api.RunOptions:
    return api.RunOptions(data=str(folders), results=tmp_path / "results", device="cpu")


def run(path: Path, options: api.RunOptions, arch: str = ARCH, **facts: Any) -> api.Evaluation:
    return api.evaluate(KNN, api.resolve(str(path), arch=arch, **facts), options)


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def test_equal_values_of_equal_meaning_are_one_checkpoint(
    tmp_path: Path, weights: dict[str, Tensor], options: api.RunOptions
) -> None:
    first = run(saved(weights, tmp_path / "plain.pth"), options)
    half = {name: value.half() for name, value in weights.items()}
    others = [
        run(saved(half, tmp_path / "half.pth"), options),
        run(saved({"model": weights}, tmp_path / "wrapped.pth"), options),  # other position rule
        run(tmp_path / "plain.pth", options, arch="vit_micro_patch8_64"),
    ]
    assert first.ran
    assert [other.ran for other in others] == [False] * 3
    assert {other.record.id for other in others} == {first.record.id}


def test_other_pooling_and_other_epsilon_are_other_checkpoints(
    tmp_path: Path, weights: dict[str, Tensor], options: api.RunOptions
) -> None:
    trunk = {
        ("class_token" if key == "cls_token" else key.replace("pos_embed", "pos_embedding")): value
        for key, value in weights.items()
    }
    vissl = {"classy_state_dict": {"base_model": {"model": {"trunk": trunk}}}}  # epsilon 1e-5
    plain = saved(weights, tmp_path / "plain.pth")
    found = [
        run(plain, options),
        run(plain, options, pooling="mean_pool"),
        run(saved(vissl, tmp_path / "vissl.pth"), options),
    ]
    assert [one.ran for one in found] == [True] * 3
    assert found[2].record.cost.feature_cache == "miss"
    assert len({one.record.id for one in found}) == 3


def test_a_record_answers_to_every_name_it_was_typed_by(
    tmp_path: Path, weights: dict[str, Tensor], options: api.RunOptions
) -> None:
    run(saved(weights, tmp_path / "first.pth"), options)
    second = run(saved(weights, tmp_path / "mine.pth"), options)
    assert (second.record.subject.name, second.record.subject.aliases) == ("first", ("mine",))
    assert read_record(second.path).subject.aliases == ("mine",)
    assert run(tmp_path / "mine.pth", options).record.subject.aliases == ("mine",)


def test_an_artifact_that_is_asked_for_later_is_made(tmp_path: Path) -> None:
    def follow(video: Any) -> api.Evaluation:
        options = api.RunOptions(data="synthetic", results=tmp_path, device="cpu", limit=1)
        return api.evaluate(
            api.from_preset(Davis, "dino-2021", video=video),
            api.resolve("random:vit_micro_patch16_224"),
            options,
        )

    assert follow("none").ran
    with_video = follow("gif")
    assert with_video.ran
    drawn = [file for name, file in with_video.record.artifacts.items() if "video" in name]
    assert drawn
    assert not follow("gif").ran
    assert not follow("none").ran  # nothing is asked for that is not there
    (with_video.path.parent / drawn[0]).unlink()
    assert follow("gif").ran


def test_the_same_run_elsewhere_is_waited_for_and_its_record_taken(
    weights: dict[str, Tensor], options: api.RunOptions, tmp_path: Path
) -> None:
    first = run(saved(weights, tmp_path / "w.pth"), options)
    scratch = cache.cache_place("runs", first.record.id[:32])
    kept = first.path.read_bytes()
    first.path.unlink()
    with ThreadPoolExecutor(1) as pool:
        with folder_lock(scratch, wait=False):  # as the first run holds it
            assert not cached.remove(cached.Entry("runs", scratch, 0))
            waiting = pool.submit(run, tmp_path / "w.pth", options)
            time.sleep(1)
            assert not waiting.done()
            first.path.write_bytes(kept)
        assert not waiting.result(timeout=120).ran
    assert not (scratch / LOCK).exists()


def test_what_killed_runs_left_half_written_is_swept(
    weights: dict[str, Tensor], options: api.RunOptions, tmp_path: Path
) -> None:
    left = [
        options.results / "knn" / ".w.12345678.json.x.part",
        cache.cache_place("gate", ".x.json.y.part"),
        cache.cache_place(".removed-x", "block.npy"),
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (0, 0))
    run(saved(weights, tmp_path / "w.pth"), replace(options, rerun=True))
    assert not [path for path in left if path.exists()]
    assert not list(options.results.rglob("*.part"))


def test_data_that_is_not_there_leaves_no_record(tmp_path: Path, options: api.RunOptions) -> None:
    with pytest.raises(DatasetNotFound):
        api.evaluate(KNN, api.resolve(f"random:{ARCH}"), replace(options, data="imagnet"))
    assert not options.results.exists()


def test_features_that_are_no_numbers_are_refused_before_any_scoring(
    tmp_path: Path, weights: dict[str, Tensor], options: api.RunOptions
) -> None:
    broken = {name: value * 1e25 for name, value in weights.items()}  # finite; their sums are not
    with pytest.raises(CheckpointError, match="not finite"):
        run(saved(broken, tmp_path / "broken.pth"), options)
    assert not options.results.exists()


def test_an_old_record_is_read_and_never_taken_for_a_new_run(
    tmp_path: Path, weights: dict[str, Tensor], options: api.RunOptions
) -> None:
    new = run(saved(weights, tmp_path / "plain.pth"), options)
    document = json.loads(new.path.read_text())
    document |= {"schema": 1, "id": "0" * 64}
    document["dataset"]["fingerprint"] = "1" * 64
    for name in ("aliases", "network", "gate_passed"):
        del document["subject"][name]
    document["subject"]["arch"] = f"{ARCH} (2 heads)"
    new.path.with_name("old.00000000.json").write_text(json.dumps(document))
    records = [record for record in read_records(options.results) if isinstance(record, Record)]
    assert {record.schema for record in records} == {1, 2}
    assert len(build_leaderboards(records)) == 2


def test_weights_need_not_be_checked_and_the_record_says_so(
    tmp_path: Path,
    weights: dict[str, Tensor],
    options: api.RunOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = saved(weights, tmp_path / "plain.pth")
    with monkeypatch.context() as patch:
        patch.setattr("vitbench.engine.evaluate.inspect", lambda *_, **__: pytest.fail("looked"))
        found = run(path, replace(options, sanity_check=False))
    assert found.record.subject.gate == "not run (--no-sanity-check)"
    assert found.record.subject.gate_passed is None
    checked = run(path, replace(options, rerun=True))
    assert checked.record.id == found.record.id
    assert checked.record.subject.gate_passed is not None
