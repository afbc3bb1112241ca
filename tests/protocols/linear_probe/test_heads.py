import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from vitbench_protocols.linear_probe import heads as heads_module
from vitbench_protocols.linear_probe.heads import make_heads, places
from vitbench_protocols.linear_probe.training import Schedule

CPU = torch.device("cpu")
RATES = (0.01, 0.3)


@pytest.mark.parametrize("kept", [1, heads_module.KEPT])  # one head after another, all at once
def test_heads_learn_what_separate_linear_layers_learn_under_sgd(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads_module, "KEPT", kept)
    generator = torch.Generator().manual_seed(1)
    heads = make_heads(RATES, 12, 5, seed=3, device=CPU)
    layers = [nn.Linear(12, 5) for _ in RATES]
    for layer in layers:
        layer.load_state_dict({"weight": heads.weight[:5].clone(), "bias": torch.zeros(5)})
    schedule = Schedule(epochs=4, batch_size=256, momentum=0.9)
    optimizers = [
        torch.optim.SGD(layer.parameters(), lr=rate, momentum=0.9)
        for layer, rate in zip(layers, RATES, strict=True)
    ]
    cosines = [CosineAnnealingLR(optimizer, 4, eta_min=0) for optimizer in optimizers]
    for epoch in range(4):
        for size in (7, 7, 3):  # the last partial batch is kept
            features = torch.randn(size, 12, generator=generator)
            labels = torch.randint(5, (size,), generator=generator)
            heads.step(features, labels, scale=schedule.scale(epoch), momentum=0.9)
            for layer, optimizer in zip(layers, optimizers, strict=True):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(layer(features), labels)
                torch.autograd.backward(loss)
                optimizer.step()
        for cosine in cosines:
            cosine.step()
    features = torch.randn(9, 12, generator=generator)
    expected = torch.stack([layer(features) for layer in layers], dim=1)
    torch.testing.assert_close(heads.logits(features), expected.detach(), atol=1e-5, rtol=1e-5)


def test_the_rate_grows_with_the_batch_and_ends_at_zero_after_the_last_epoch() -> None:
    schedule = Schedule(epochs=100, batch_size=1024, momentum=0.9)
    assert schedule.scale(0) == 4.0
    assert abs(schedule.scale(50) - 2.0) < 1e-12
    assert 0 < schedule.scale(99) < 0.001


def test_heads_start_small_and_alike() -> None:
    heads = make_heads(RATES, 400, 50, seed=0, device=CPU)
    assert torch.equal(heads.weight[:50], heads.weight[50:])
    assert abs(heads.weight.std().item() - 0.01) < 1e-4
    assert not heads.bias.any()


def test_places_count_from_zero_and_ties_go_to_the_lower_class() -> None:
    logits = torch.tensor([[[1.0, 3.0, 2.0]], [[2.0, 2.0, 2.0]], [[0.0, 5.0, 5.0]]])
    assert places(logits, torch.tensor([2, 1, 1])).flatten().tolist() == [1, 1, 0]


def test_a_head_that_diverged_is_never_right() -> None:
    logits = torch.full((2, 1, 3), float("nan"))
    assert places(logits, torch.tensor([0, 2])).flatten().tolist() == [3, 3]


def test_top_five_of_three_classes_is_always_right() -> None:
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 1, 3)))
    assert (places(logits, torch.arange(20) % 3) < 5).all()
