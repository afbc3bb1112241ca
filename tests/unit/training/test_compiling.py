"""What torch.compile sees of a training step: whole passes, and the same ones in each step."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import _dynamo as dynamo
from torch import nn

from tests.tiny_training import NoiseLoader, tiny
from vitbench.training import trainer
from vitbench.training.options import ComputeConfig

plain = nn.Module.compile


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Return the graphs that are compiled; a part that is no whole graph fails."""
    found: list[Any] = []

    def remember(graph: Any, _inputs: Any) -> Any:
        found.append(graph)
        return graph.forward

    def whole(module: nn.Module, *_: Any, **__: Any) -> None:
        plain(module, backend=remember, fullgraph=True)

    def fail(_networks: Any, error: Exception) -> None:
        raise error

    dynamo.reset()
    monkeypatch.setattr(nn.Module, "compile", whole)
    monkeypatch.setattr(trainer, "leave_uncompiled", fail)
    yield found
    dynamo.reset()


# of torch's own tracing of autograd functions
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_a_step_has_whole_passes_and_compiles_nothing_anew_later(graphs: list[Any]) -> None:
    recipe = tiny("selfpatch")  # has class attention and two heads
    recipe = replace(recipe, crops=replace(recipe.crops, local_size=32))
    loader = NoiseLoader(recipe.batch_size, recipe.crops)
    values: dict[str, list[float]] = {}
    for compiled in ("on", "off"):
        learner = trainer.Trainer(
            recipe,
            steps_per_epoch=loader.steps,
            device=torch.device("cpu"),
            computing=ComputeConfig(compile=compiled),
        )
        batches = [batch for epoch in range(2) for batch in loader.epoch(epoch)]
        steps = [learner.train_step(batches[0])]
        first = len(graphs)
        with dynamo.config.patch(error_on_recompile=True):
            steps += [learner.train_step(batch) for batch in batches[1:4]]
        values[compiled] = [step["loss"].item() for step in steps]
        assert len(graphs) == first
        assert first >= 4  # student and teacher: backbones and heads
    assert values["on"] == pytest.approx(values["off"], rel=1e-5)
