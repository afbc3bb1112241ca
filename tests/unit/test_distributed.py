"""A device that is not there is refused in words that help; what is merged is on one process."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from vitbench import distributed
from vitbench.distributed import find_device
from vitbench.errors import SettingError


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Model X")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_a_machine_without_a_gpu_computes_on_its_cpu(name: str) -> None:
    assert find_device(name) == torch.device("cpu")


@pytest.mark.usefixtures("one_gpu")
@pytest.mark.parametrize("name", ["gpu", "GPU", "cuda:9", "cuda:-1", "0", ""])
def test_a_name_that_is_no_device_is_answered_by_one_that_is(name: str) -> None:
    with pytest.raises(SettingError) as refused:
        find_device(name)
    said = str(refused.value)
    assert f"no device {name!r}" in said
    assert "expected  auto, cpu, cuda, cuda:N" in said
    assert "found     1 GPU, cuda:0 is a Model X" in said
    assert "try       --device cuda" in said


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "gpu"])
@pytest.mark.parametrize(
    ("version", "reason"), [(None, "it was built for CPUs"), ("13.0", "CUDA_VISIBLE_DEVICES")]
)
def test_a_missing_gpu_says_why_and_what_is_there(
    name: str, version: str | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", version)
    monkeypatch.setattr(torch.version, "hip", None)
    with pytest.raises(SettingError, match=r"try +--device cpu") as refused:
        find_device(name)
    assert reason in str(refused.value)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["meta", "mps", "xpu", "cpu:3"])
def test_what_pytorch_calls_a_device_but_can_not_train_on_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(SettingError, match=f"no device '{name}'"):
        find_device(name)


def one_of_two(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = distributed.merge_on_main({rank: "own", "both": rank})
    assert found == ({0: "own", 1: "own", "both": 1} if rank == 0 else {})
    dist.destroy_process_group()


def test_what_is_merged_on_the_main_process_is_nowhere_else(tmp_path: Path) -> None:
    assert distributed.merge_on_main({"alone": 1}) == {"alone": 1}
    processes: Any = torch.multiprocessing
    processes.spawn(one_of_two, (str(tmp_path),), nprocs=2)
