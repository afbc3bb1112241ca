"""The loop of fine-tuning: one run or two, one process or two, the same steps."""

import errno
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from vitbench.errors import SettingError, Stopped, TrainingError
from vitbench.models.batch_norm import GlobalBatchNorm2d
from vitbench.training.finetune import FineTuneConfig, FineTuneContext, FineTuning, Shuffled
from vitbench.training.metric_log import read_metrics
from vitbench.training.schedules import Poly

COURSE = FineTuneConfig(
    steps=6, batch_size=4, rate=Poly(0.05, warmup_steps=2), weight_decay=0.1, check_every=3
)


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = nn.Sequential(
            nn.Conv2d(3, 5, 3, bias=False), GlobalBatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 2, 1)
        )
    return made.double()


@dataclass
class Sums:
    """Learns whether an image is brighter than gray."""

    model: nn.Sequential = field(default_factory=network)
    broken_from: int | None = None

    def sample(self, position: int) -> Tensor:
        generator = torch.Generator().manual_seed(position)
        return torch.rand(3, 6, 6, generator=generator, dtype=torch.float64)

    def losses(self, samples: list[Tensor], positions: range) -> dict[str, Tensor]:
        images = torch.stack(samples)
        truth = (images.mean(dim=(1, 2, 3)) > 0.5).long()
        loss = functional.cross_entropy(self.model(images).mean(dim=(2, 3)), truth)
        if self.broken_from is not None and positions[0] >= self.broken_from:
            loss = loss * torch.nan
        return {"loss": loss, "last": torch.tensor(float(positions[-1]))}

    def check(self) -> Mapping[str, float]:
        return {"score": 1.0}


def around(folder: Path) -> FineTuneContext:
    return FineTuneContext(
        device=torch.device("cpu"),
        workers=2,
        scratch=folder / "scratch",
        output=folder / "output",
        progress=lambda *told: None,
    )


def trained(folder: Path, course: FineTuneConfig = COURSE) -> dict[str, Tensor]:
    task = Sums()
    FineTuning(task, course, around(folder)).finish()
    return task.model.state_dict()


def equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor], *, atol: float = 0) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=atol)


class Killed(Sums):
    """Gets a signal while it makes a step."""

    def losses(self, samples: list[Tensor], positions: range) -> dict[str, Tensor]:
        if positions[0] == 8:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().losses(samples, positions)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="step 3 of 6") as stopped:
        FineTuning(Killed(), COURSE, around(tmp_path / "two")).finish()
    assert stopped.value.exit_code == 75
    rest = Sums()
    tuning = FineTuning(rest, COURSE, around(tmp_path / "two"))
    assert tuning.step == 3
    tuning.finish()
    equal(trained(tmp_path / "one"), rest.model.state_dict())


def test_a_finished_run_is_not_made_again(tmp_path: Path) -> None:
    first = trained(tmp_path)
    task = Sums()
    tuning = FineTuning(task, COURSE, around(tmp_path))
    assert tuning.step == COURSE.steps
    tuning.finish()
    equal(first, task.model.state_dict())


def test_the_number_of_threads_changes_nothing(tmp_path: Path) -> None:
    task = Sums()
    FineTuning(task, COURSE, replace(around(tmp_path / "a"), workers=1)).finish()
    equal(trained(tmp_path / "b"), task.model.state_dict())


def test_parts_of_a_batch_add_up_where_nothing_depends_on_the_batch(tmp_path: Path) -> None:
    whole, parts = Sums(), Sums()
    for task, accumulate in ((whole, 1), (parts, 2)):
        task.model[1] = nn.Identity()
        folder = tmp_path / str(accumulate)
        FineTuning(task, replace(COURSE, accumulate=accumulate), around(folder)).finish()
    equal(whole.model.state_dict(), parts.model.state_dict(), atol=1e-12)


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save(trained(Path(folder) / "run"), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path: Path) -> None:
    processes: Any = torch.multiprocessing
    processes.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    equal(first, second)
    equal(trained(tmp_path / "alone"), first, atol=1e-10)


def test_the_journal_shows_losses_rates_and_checks(tmp_path: Path) -> None:
    trained(tmp_path)
    rows = read_metrics(tmp_path / "output")
    assert [row["step"] for row in rows if "score" in row] == [3, 6]
    losses: list[dict[str, Any]] = [row for row in rows if "loss" in row]
    assert losses[-1]["learning_rate"] == pytest.approx(0.05 / 6)


def test_a_loss_that_is_not_finite_is_told_with_its_step(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="step 3 is not finite"):
        FineTuning(Sums(broken_from=8), COURSE, around(tmp_path)).finish()


def test_a_batch_that_can_not_be_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="a batch of 4"):
        FineTuning(Sums(), replace(COURSE, accumulate=3), around(tmp_path))


def test_names_decide_what_decays() -> None:
    course = replace(COURSE, undecayed=("bias",))
    decaying, rest = course.optimizer(network()).param_groups
    assert (len(decaying["params"]), decaying["weight_decay"]) == (3, 0.1)
    assert (len(rest["params"]), rest["weight_decay"]) == (2, 0.0)


def test_an_epoch_of_the_stream_has_every_item_once_and_the_next_another_order() -> None:
    order = Shuffled(seed=0, items=7)
    first, second = ([order[p] for p in range(7 * e, 7 * e + 7)] for e in range(2))
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second


NO_ROOM = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to …"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    MemoryError("Unable to allocate 2.00 GiB for an array"),
    MemoryError(),
)


@pytest.mark.parametrize("error", NO_ROOM, ids=lambda error: str(error)[:16])
def test_lack_of_memory_on_any_device_says_what_to_change(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise error

    tuning = FineTuning(Sums(), COURSE, around(tmp_path))
    monkeypatch.setattr(tuning, "train_step", full)
    with pytest.raises(TrainingError, match=r"memory of cpu ran out in step 1[\s\S]*2 parts"):
        tuning.finish()


def test_another_error_is_not_taken_for_a_lack_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    tuning = FineTuning(Sums(), COURSE, around(tmp_path))
    monkeypatch.setattr(tuning, "train_step", wrong)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        tuning.finish()


def test_a_full_disk_is_told_the_same_for_the_journal_as_for_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = FineTuning(Sums(), COURSE, around(tmp_path))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(TrainingError, match=r"the metric log could not be written[\s\S]*No space"):
        tuning.finish()
