"""Networks in shards learn what whole ones do, in less memory; a run goes on in or out of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import nn

from tests.tiny_training import EXACT, nano_networks, several_learn_as_one, start, tiny
from vitbench.errors import SettingError
from vitbench.models.run_folder import RUN_FILE
from vitbench.training.presets import with_terms
from vitbench.training.recipe import Recipe
from vitbench.training.sharding import check_shards, in_shards, own_part

WHOLE = replace(EXACT, accumulate=2)
SHARDS = replace(WHOLE, shard=True)
METHODS = ("dino", "selfpatch", "moby", "esvit_swin")


def clipped(name: str) -> Recipe:
    """Return a tiny recipe whose gradients are clipped in every step."""
    recipe = with_terms(tiny(name), queue=12)
    return replace(recipe, batch_size=6, optimizer=replace(recipe.optimizer, clip=0.01))


def test_shards_on_two_processes_learn_what_one_process_does(tmp_path: Path) -> None:
    recipes = {name: clipped(name) for name in METHODS}
    several_learn_as_one(2, recipes, 6, tmp_path, replace(EXACT, shard=True))


def test_a_run_goes_on_in_shards_and_out_of_them(tmp_path: Path) -> None:
    recipe = replace(tiny("dino"), batch_size=4)
    whole = start(recipe, tmp_path / "whole", computing=WHOLE)
    whole.run()
    start(recipe, tmp_path / "into", computing=WHOLE).run(until=6)
    processes: Any = torch.multiprocessing
    processes.spawn(one_of_two, (recipe, tmp_path), nprocs=2)
    out_of = start(recipe, tmp_path / "out_of", computing=WHOLE)
    assert out_of.task.step == 6
    out_of.run()
    into = start(recipe, tmp_path / "into", computing=WHOLE)
    assert into.task.step == whole.task.step
    expected = whole.task.trainer.state_dict()
    for run in (out_of, into):
        torch.testing.assert_close(run.task.trainer.state_dict(), expected, atol=1e-6, rtol=0)
        file, right = (load_file(each.task.folder / RUN_FILE) for each in (run, whole))
        torch.testing.assert_close(file, right, atol=1e-6, rtol=0)
    for rank in range(2):
        for kind, (mine, all_of_it) in torch.load(tmp_path / f"{rank}.pt").items():
            assert mine < 0.55 * all_of_it, kind  # of a size of 3, one has 2


def one_of_two(rank: int, recipe: Recipe, folder: Path) -> None:
    """Train in shards: one run from its start, another one to its end."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    with nano_networks():
        start(recipe, folder / "out_of", computing=SHARDS).run(until=6)
        run = start(recipe, folder / "into", computing=SHARDS)
        assert run.task.step == 6
        run.run()
    trainer = run.task.trainer
    averages = [state["exp_avg"] for state in trainer.optimizer.state.values()]
    kept = {
        "student": list(trainer.student_teacher.student.parameters()),
        "teacher": list(trainer.student_teacher.teacher.parameters()),
        "averages": averages,
    }
    counts = {
        kind: (sum(own_part(each).numel() for each in found), sum(each.numel() for each in found))
        for kind, found in kept.items()
    }
    torch.save(counts, folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_shards_want_several_processes_that_exchange_and_no_compiler() -> None:
    with pytest.raises(SettingError, match="1 process"):
        check_shards(1, "cpu")
    with pytest.raises(SettingError, match="mps"):
        check_shards(2, "mps")
    with pytest.raises(SettingError, match="--compile off"):
        check_shards(2, "cuda", compiled=True)
    check_shards(2, "cuda")
    computing = replace(EXACT, shard=True).on(torch.device("cuda"))
    assert computing.compile == "off"


def test_a_parameter_that_can_not_be_cut_is_named() -> None:
    module: Any = nn.Linear(2, 2)
    module.scale = nn.Parameter(torch.ones(()))
    with pytest.raises(SettingError, match="scale can't be cut"):
        in_shards(module, [], torch.device("cpu"))
