"""A run goes on where it stopped, says how it is, and stops when it must."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from tests.tiny_training import SWIN, NoiseLoader, several_learn_as_one, start, tiny, trained
from vitbench.errors import SettingError, Stopped, TrainingError
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.training.metric_log import read_metrics
from vitbench.training.options import ComputeConfig, LogConfig
from vitbench.training.presets import with_terms
from vitbench.training.trainer import Trainer

CPU = torch.device("cpu")
METHODS = (
    "dino", "selfpatch", "esvit", "moby", "moby_selfpatch", "esvit_swin", "moby_selfpatch_swin"
)  # fmt: skip
EVERY_STEP = LogConfig(log_every=1)


def weights(run: Any) -> dict[str, Tensor]:
    state = run.task.trainer.state_dict()
    return {**state["pair"], **state["objectives"]}


@pytest.mark.parametrize("name", METHODS)
def test_a_run_in_two_parts_equals_one_in_one(tmp_path: Path, name: str) -> None:
    whole = start(tiny(name), tmp_path / "whole")
    whole.run()
    start(tiny(name), tmp_path / "parts").run(until=6)
    again = start(tiny(name), tmp_path / "parts")
    assert again.task.trainer.step == 6
    again.run()
    for key, value in weights(whole).items():
        assert torch.equal(value, weights(again)[key]), key
    drop = {"images_per_second", "waiting"}
    first, second = (
        [{key: row[key] for key in row.keys() - drop} for row in read_metrics(tmp_path / part)]
        for part in ("whole", "parts")
    )
    assert first == second


def test_the_result_is_a_checkpoint(tmp_path: Path) -> None:
    run = start(tiny("selfpatch"), tmp_path / "mine")
    run.run(until=2)
    checkpoint = resolve(str(tmp_path / "mine"))
    assert (checkpoint.method, checkpoint.pooled_from) == ("selfpatch", "class_attention")
    images = torch.randn(2, 3, 24, 24)
    teacher: Any = run.task.trainer.student_teacher.target
    (expected,) = teacher.backbone(images)
    (found,) = load_backbone(checkpoint)(images)
    torch.testing.assert_close(found.pooled, expected.pooled)


@pytest.mark.parametrize("name", ["esvit_swin", "moby_swin", "moby_selfpatch_swin"])
def test_a_trained_swin_is_a_checkpoint(name: str, tmp_path: Path) -> None:
    run = start(replace(tiny(name), norm_eps=1e-5), tmp_path)
    run.run(until=2)
    checkpoint = resolve(str(tmp_path))
    assert (checkpoint.architecture.name, checkpoint.architecture.norm_eps) == (SWIN, 1e-5)
    images = torch.randn(2, 3, 40, 24)
    teacher: Any = run.task.trainer.student_teacher.target
    (expected,) = teacher.backbone(images)
    (found,) = load_backbone(checkpoint)(images)
    torch.testing.assert_close(found.pooled, expected.pooled)


def test_a_swin_learns_from_crops_of_any_size(tmp_path: Path) -> None:
    recipe = tiny("esvit_swin")
    recipe = replace(recipe, crops=replace(recipe.crops, global_size=28, local_size=12))
    loader = NoiseLoader(recipe.batch_size, recipe.crops)
    trainer = Trainer(recipe, steps_per_epoch=loader.steps, device=CPU)
    for batch in loader.epoch(0):
        assert torch.isfinite(trainer.train_step(batch)["region"])


def test_another_recipe_does_not_go_on_in_the_same_folder(tmp_path: Path) -> None:
    start(tiny("dino"), tmp_path).run(until=4)
    with pytest.raises(SettingError, match="made with other settings") as refused:
        start(replace(tiny("dino"), seed=1), tmp_path)
    assert "expected  --seed 0\n" in str(refused.value)
    assert "found     --seed 1\n" in str(refused.value)


def test_a_change_that_is_allowed_goes_on_and_is_kept(tmp_path: Path) -> None:
    start(tiny("dino"), tmp_path).run(until=4)
    changed = replace(tiny("dino"), seed=1)
    run = start(changed, tmp_path, allow_changes=True)
    assert (run.task.trainer.step, run.task.changed) == (4, {"--seed": (0, 1)})
    run.run(until=5)
    assert start(changed, tmp_path).task.changed == {}


def test_a_snapshot_of_other_shapes_is_refused_though_changes_are_allowed(tmp_path: Path) -> None:
    start(tiny("dino"), tmp_path).run(until=4)
    wider = with_terms(tiny("dino"), prototypes=20)
    with pytest.raises(TrainingError, match=r"does not fit these settings[\s\S]*size mismatch"):
        start(wider, tmp_path, allow_changes=True)


def test_a_snapshot_that_says_nothing_of_its_settings_is_refused(tmp_path: Path) -> None:
    run = start(tiny("dino"), tmp_path)
    run.snapshots.save(run.task.trainer.state_dict(), step=1)
    run.snapshots.wait()
    with pytest.raises(SettingError, match="recipe not known"):
        start(tiny("dino"), tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run_with_its_step(tmp_path: Path) -> None:
    run = start(tiny("selfpatch"), tmp_path)
    run.run(until=4)
    run = start(tiny("selfpatch"), tmp_path)
    with torch.no_grad():
        head: Any = run.task.trainer.student_teacher.student.heads["patch"]
        head.last_layer.weight_v[0] = torch.inf
    with pytest.raises(TrainingError, match=r"step 5 is not finite[\s\S]*dino [\d.]+, .*patch nan"):
        run.run()
    good = run.snapshots.latest()
    assert good is not None
    assert good.name == "step-000000004.pt"


def test_a_step_without_a_finite_loss_can_be_skipped(tmp_path: Path) -> None:
    run = start(tiny("dino"), tmp_path, computing=ComputeConfig(on_nonfinite=("skip", 1)))
    loader = NoiseLoader(4)
    batch = next(loader.epoch(0))
    before = {key: value.clone() for key, value in weights(run).items()}
    broken = replace(batch, crops=[crop * torch.nan for crop in batch.crops])
    assert run.task.trainer.train_step(broken) == {}
    assert run.task.trainer.step == 1
    for key, value in weights(run).items():
        assert torch.equal(value, before[key]), key
    assert torch.isfinite(run.task.trainer.train_step(batch)["loss"])


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)]
)
def test_a_signal_saves_and_stops(tmp_path: Path, number: signal.Signals, code: int) -> None:
    def interrupt(row: dict[str, Any]) -> None:
        if row["step"] == 3:
            os.kill(os.getpid(), number)

    run = start(tiny("dino"), tmp_path, callback=interrupt)
    with pytest.raises(Stopped) as stopped:
        run.run()
    assert stopped.value.exit_code == code
    assert start(tiny("dino"), tmp_path).task.trainer.step in {3, 4}


def test_lack_of_memory_says_what_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate 2.00 GiB")

    run = start(tiny("dino"), tmp_path)
    monkeypatch.setattr(run.task.trainer, "train_step", full)
    with pytest.raises(TrainingError, match="--accumulate 2 keeps the batch of 4"):
        run.run()


@pytest.mark.parametrize("name", ["dino", "selfpatch", "esvit"])  # BatchNorm sees parts apart
def test_a_batch_in_parts_gives_the_same_steps(name: str) -> None:
    whole, *cut = (
        trained(tiny(name), 4, computing=ComputeConfig(precision="fp64", accumulate=parts))
        for parts in (1, 2, 4)
    )
    for found in cut:
        torch.testing.assert_close(found, whole, atol=1e-9, rtol=0)


@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_learn_what_one_does(processes: int, tmp_path: Path) -> None:
    recipes = {name: replace(with_terms(tiny(name), queue=12), batch_size=6) for name in METHODS}
    several_learn_as_one(processes, recipes, 6, tmp_path)


def test_a_compiler_that_fails_is_done_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise TorchDynamoException("no compiler here")

    def compile_to_nothing(module: Any) -> None:
        module._compiled_call_impl = fail

    monkeypatch.setattr(torch.nn.Module, "compile", compile_to_nothing)
    found = trained(tiny("selfpatch"), 3, computing=ComputeConfig(compile="on"))
    assert "going on without (--compile off): no compiler here" in caplog.text
    torch.testing.assert_close(
        found, trained(tiny("selfpatch"), 3, computing=ComputeConfig()), atol=0, rtol=0
    )


def test_a_run_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    start(tiny("dino"), Path("runs/mine")).run(until=1)
    assert resolve("mine").sha256 == resolve(str(tmp_path / "runs" / "mine")).sha256
