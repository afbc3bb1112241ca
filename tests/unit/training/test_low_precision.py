"""Training in bfloat16 on a CPU: attention of the student is written out, for its backward pass."""

import pytest
import torch
from torch import nn

from tests.tiny_training import NoiseLoader, nano_networks, tiny
from vitbench.training.options import ComputeConfig
from vitbench.training.trainer import Trainer


def attention_is_fused(network: nn.Module) -> set[bool]:
    return {m.fused_attn for m in network.modules() if hasattr(m, "fused_attn")}  # type: ignore[misc]


@pytest.mark.parametrize(("precision", "fused"), [("fp32", True), ("bf16", False)])
def test_only_attention_that_learns_in_low_precision_is_written_out(
    precision: str, fused: bool
) -> None:
    recipe = tiny("dino")
    loader = NoiseLoader(recipe.batch_size, recipe.crops)
    losses = {}
    with nano_networks():
        for kind in ("fp32", precision):
            computing = ComputeConfig(precision=kind)  # type: ignore[arg-type]
            trainer = Trainer(
                recipe, steps_per_epoch=4, device=torch.device("cpu"), computing=computing
            )
            losses[kind] = trainer.train_step(next(loader.epoch(0)))["loss"].item()
    networks = trainer.student_teacher
    assert networks.teacher is not None
    assert attention_is_fused(networks.student.backbone) == {fused}
    assert attention_is_fused(networks.teacher.backbone) == {True}
    assert losses[precision] == pytest.approx(losses["fp32"], rel=0.01)
