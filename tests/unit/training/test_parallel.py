"""Ways to share and to save memory change nothing that is learned."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_training import NoiseLoader, start, tiny, trained
from vitbench.errors import MissingAbility
from vitbench.models.backbone import Backbone
from vitbench.training.activation_checkpointing import checkpoint_activations
from vitbench.training.determinism import deterministic_kernels
from vitbench.training.drop_path import DropPath
from vitbench.training.options import ComputeConfig
from vitbench.training.trainer import Trainer


@pytest.mark.parametrize("name", ["selfpatch", "esvit_swin"])
def test_activations_that_are_computed_again_are_the_same(name: str) -> None:
    kept, again = (
        trained(
            tiny(name),
            3,
            computing=ComputeConfig(precision="fp64", activation_checkpointing=wanted),
        )
        for wanted in (False, True)
    )
    torch.testing.assert_close(again, kept, atol=0, rtol=0)


@pytest.mark.parametrize("name", ["dino", "dino_swin"])
def test_a_block_is_computed_again_in_the_backward_pass(name: str) -> None:
    recipe = tiny(name)
    passes = []
    for wanted in (False, True):
        computing = ComputeConfig(activation_checkpointing=wanted)
        trainer = Trainer(
            recipe, steps_per_epoch=4, device=torch.device("cpu"), computing=computing
        )
        seen: list[None] = []
        block: Any = trainer.student_teacher.student.backbone.repeated_blocks()[0]
        block.norm1.register_forward_hook(lambda *_, seen=seen: seen.append(None))
        trainer.train_step(next(NoiseLoader(recipe.batch_size, recipe.crops).epoch(0)))
        passes.append(len(seen))
    assert passes[1] == 2 * passes[0]


def test_a_backbone_whose_blocks_nobody_knows_is_refused(tmp_path: Path) -> None:
    task = start(tiny("dino"), tmp_path).task
    drop_path: DropPath = task.trainer.drop_path

    class Other(Backbone):
        info = task.trainer.student_teacher.student.backbone.info
        forward = None  # type: ignore[assignment]

    with pytest.raises(MissingAbility, match="names no blocks"):
        checkpoint_activations(Other(), drop_path)


def test_deterministic_kernels_are_asked_for_as_long_as_a_training_runs() -> None:
    with deterministic_kernels(wanted=True):
        assert torch.get_deterministic_debug_mode() == 1
    assert torch.get_deterministic_debug_mode() == 0
