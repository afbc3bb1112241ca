"""Ways to share and to save memory change nothing that is learned."""

from pathlib import Path

import pytest
import torch

from tests.tiny_training import start, tiny, trained
from vitbench.errors import MissingAbility
from vitbench.models.backbone import Backbone
from vitbench.training.activation_checkpointing import checkpoint_activations
from vitbench.training.determinism import deterministic_kernels
from vitbench.training.drop_path import DropPath
from vitbench.training.options import ComputeConfig


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
