from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vitbench.training.clipping import ROW, clip_each, clip_together

Clip = Callable[[list[nn.Parameter], float], None]


def trained() -> list[nn.Parameter]:
    """Return parameters with small, large and no gradients, most of no even size."""
    random = torch.Generator().manual_seed(0)
    shapes = ((3, 5), (ROW,), (), (7, ROW), (2,))
    found = [nn.Parameter(torch.zeros(shape)) for shape in shapes]
    for number, each in enumerate(found[:-1]):
        each.grad = torch.randn(each.shape, generator=random) * 10.0 ** (number - 1)
    return found


def gradients(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [each.grad.clone() for each in parameters if each.grad is not None]


def test_each_gradient_is_clipped_by_its_own_norm() -> None:
    parameters = trained()
    before = gradients(parameters)
    clip_each(parameters, 3.0)
    for found, old in zip(gradients(parameters), before, strict=True):
        factor = min(1.0, 3.0 / (old.norm().item() + 1e-6))
        torch.testing.assert_close(found, old * factor)
    assert parameters[-1].grad is None


def test_all_gradients_together_are_clipped_by_their_common_norm() -> None:
    parameters = trained()
    before = gradients(parameters)
    clip_together(parameters, 3.0)
    found = gradients(parameters)
    whole = torch.cat([each.flatten() for each in before]).norm().item()
    torch.testing.assert_close(found, [each * 3.0 / whole for each in before])


@pytest.mark.parametrize("clip", [clip_each, clip_together])
def test_nothing_to_clip_is_no_error(clip: Clip) -> None:
    clip([nn.Parameter(torch.zeros(2))], 3.0)
