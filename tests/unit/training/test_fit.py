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

from tests.tiny_training import SWIN, NoiseLoader, one_of_two, tiny, trained
from vitbench.errors import SettingError, Stopped, TrainingError
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.training.fit import Run
from vitbench.training.identity import identity_of
from vitbench.training.metric_log import read_metrics
from vitbench.training.options import ComputeConfig, LogConfig
from vitbench.training.presets import with_terms
from vitbench.training.recipe import Recipe
from vitbench.training.trainer import Trainer

CPU = torch.device("cpu")
METHODS = (
    "dino", "selfpatch", "esvit", "moby", "moby_selfpatch", "esvit_swin", "moby_selfpatch_swin"
)  # fmt: skip
EVERY_STEP = LogConfig(log_every=1)


def start(recipe: Recipe, folder: Path, **options: Any) -> Run:
    loader = NoiseLoader(recipe.batch_size)
    computing = options.pop("computing", ComputeConfig())
    trainer = Trainer(recipe, steps_per_epoch=loader.steps, device=CPU, computing=computing)
    identity = identity_of(recipe, trainer.computing, data={})
    return Run(trainer, loader, folder, identity=identity, watching=EVERY_STEP, **options)


def weights(run: Run) -> dict[str, Tensor]:
    state = run.trainer.state_dict()
    return {**state["pair"], **state["objectives"]}


@pytest.mark.parametrize("name", METHODS)
def test_a_run_in_two_parts_equals_one_in_one(tmp_path: Path, name: str) -> None:
    whole = start(tiny(name), tmp_path / "whole")
    whole.fit()
    start(tiny(name), tmp_path / "parts").fit(steps=6)
    again = start(tiny(name), tmp_path / "parts")
    assert again.trainer.step == 6
    again.fit()
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
    run.fit(steps=2)
    checkpoint = resolve(str(tmp_path / "mine"))
    assert (checkpoint.method, checkpoint.pooled_from) == ("selfpatch", "class_attention")
    images = torch.randn(2, 3, 24, 24)
    teacher: Any = run.trainer.student_teacher.teacher
    (expected,) = teacher.backbone(images)
    (found,) = load_backbone(checkpoint)(images)
    torch.testing.assert_close(found.pooled, expected.pooled)


@pytest.mark.parametrize("name", ["esvit_swin", "moby_swin", "moby_selfpatch_swin"])
def test_a_trained_swin_is_a_checkpoint(name: str, tmp_path: Path) -> None:
    run = start(replace(tiny(name), norm_eps=1e-5), tmp_path)
    run.fit(steps=2)
    checkpoint = resolve(str(tmp_path))
    assert (checkpoint.architecture.name, checkpoint.architecture.norm_eps) == (SWIN, 1e-5)
    images = torch.randn(2, 3, 40, 24)
    teacher: Any = run.trainer.student_teacher.teacher
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
    start(tiny("dino"), tmp_path).fit(steps=4)
    with pytest.raises(SettingError, match="made with other settings") as refused:
        start(replace(tiny("dino"), seed=1), tmp_path)
    assert "expected  --seed 0\n" in str(refused.value)
    assert "found     --seed 1\n" in str(refused.value)


def test_a_change_that_is_allowed_goes_on_and_is_kept(tmp_path: Path) -> None:
    start(tiny("dino"), tmp_path).fit(steps=4)
    changed = replace(tiny("dino"), seed=1)
    run = start(changed, tmp_path, allow_changes=True)
    assert (run.trainer.step, run.changed) == (4, {"--seed": (0, 1)})
    run.fit(steps=5)
    assert start(changed, tmp_path).changed == {}


def test_a_snapshot_of_other_shapes_is_refused_though_changes_are_allowed(tmp_path: Path) -> None:
    start(tiny("dino"), tmp_path).fit(steps=4)
    wider = with_terms(tiny("dino"), prototypes=20)
    with pytest.raises(TrainingError, match=r"does not fit these settings[\s\S]*size mismatch"):
        start(wider, tmp_path, allow_changes=True)


def test_a_snapshot_that_says_nothing_of_its_settings_is_refused(tmp_path: Path) -> None:
    run = start(tiny("dino"), tmp_path)
    run.snapshots.save(run.trainer.state_dict(), step=1)
    with pytest.raises(SettingError, match="recipe not known"):
        start(tiny("dino"), tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run_with_its_step(tmp_path: Path) -> None:
    run = start(tiny("selfpatch"), tmp_path)
    run.fit(steps=4)
    run = start(tiny("selfpatch"), tmp_path)
    with torch.no_grad():
        head: Any = run.trainer.student_teacher.student.heads["patch"]
        head.last_layer.weight_v[0] = torch.inf
    with pytest.raises(TrainingError, match=r"step 5 is not finite[\s\S]*dino [\d.]+, .*patch nan"):
        run.fit()
    good = run.snapshots.latest()
    assert good is not None
    assert good.name == "step-000000004.pt"


def test_a_step_without_a_finite_loss_can_be_skipped(tmp_path: Path) -> None:
    run = start(tiny("dino"), tmp_path, computing=ComputeConfig(on_nonfinite=("skip", 1)))
    loader = NoiseLoader(4)
    batch = next(loader.epoch(0))
    before = {key: value.clone() for key, value in weights(run).items()}
    broken = replace(batch, crops=[crop * torch.nan for crop in batch.crops])
    assert run.trainer.train_step(broken) == {}
    assert run.trainer.step == 1
    for key, value in weights(run).items():
        assert torch.equal(value, before[key]), key
    assert torch.isfinite(run.trainer.train_step(batch)["loss"])


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)]
)
def test_a_signal_saves_and_stops(tmp_path: Path, number: signal.Signals, code: int) -> None:
    def interrupt(row: dict[str, Any]) -> None:
        if row["step"] == 3:
            os.kill(os.getpid(), number)

    run = start(tiny("dino"), tmp_path, callback=interrupt)
    with pytest.raises(Stopped) as stopped:
        run.fit()
    assert stopped.value.exit_code == code
    assert start(tiny("dino"), tmp_path).trainer.step in {3, 4}


def test_lack_of_memory_says_what_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate 2.00 GiB")

    run = start(tiny("dino"), tmp_path)
    monkeypatch.setattr(run.trainer, "train_step", full)
    with pytest.raises(TrainingError, match="--accumulate 2 keeps the batch of 4"):
        run.fit()


@pytest.mark.parametrize("name", ["dino", "selfpatch", "esvit"])  # BatchNorm sees parts apart
def test_a_batch_in_parts_gives_the_same_steps(name: str) -> None:
    whole, *cut = (
        trained(name, 4, computing=ComputeConfig(precision="fp64", accumulate=parts))
        for parts in (1, 2, 4)
    )
    for found in cut:
        torch.testing.assert_close(found, whole, atol=1e-9, rtol=0)


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    context = torch.multiprocessing.get_context("spawn")
    both = [
        context.Process(target=one_of_two, args=(rank, METHODS, 10, str(tmp_path)))
        for rank in range(2)
    ]
    for process in both:
        process.start()
    alone = {name: trained(name, 10, computing=ComputeConfig(precision="fp64")) for name in METHODS}
    for process in both:
        process.join(600)
        assert process.exitcode == 0
    for name, (expected, state) in alone.items():
        found = [torch.load(tmp_path / f"{name}{rank}.pt", weights_only=True) for rank in (0, 1)]
        for _, end in found:
            torch.testing.assert_close(end, state, atol=1e-6, rtol=0)
        for first, second, row in zip(found[0][0], found[1][0], expected, strict=True):
            mean = {key: (first[key] + second[key]) / 2 for key in row}
            torch.testing.assert_close(mean, row, atol=1e-6, rtol=0)


def test_a_compiler_that_fails_is_done_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise TorchDynamoException("no compiler here")

    def compile_to_nothing(module: Any) -> None:
        module._compiled_call_impl = fail

    monkeypatch.setattr(torch.nn.Module, "compile", compile_to_nothing)
    found = trained("selfpatch", 3, computing=ComputeConfig(compile=True))
    assert "--compile failed, going on without: no compiler here" in caplog.text
    torch.testing.assert_close(
        found, trained("selfpatch", 3, computing=ComputeConfig()), atol=0, rtol=0
    )


def test_a_run_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    start(tiny("dino"), Path("runs/mine")).fit(steps=1)
    assert resolve("mine").sha256 == resolve(str(tmp_path / "runs" / "mine")).sha256
