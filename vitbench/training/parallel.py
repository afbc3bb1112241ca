"""Gradients of a loss, over the parts of a batch and over all processes."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vitbench import distributed

PartT = TypeVar("PartT")


def replicated(loss: nn.Module) -> nn.Module:
    """Let every process have all of a loss's parameters; gradients become means over them."""
    if distributed.world_size() == 1:
        return loss
    loss.unused = nn.Parameter(torch.zeros(1))  # torch warns where it finds none
    with warnings.catch_warnings():  # newer versions have a second name for the first one
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(
            loss,
            broadcast_buffers=False,  # they are reduced where they change
            find_unused_parameters=True,  # a term may need no head, a pass no mask token
            gradient_as_bucket_view=True,
        )


class ParallelLoss(Generic[PartT]):
    """A loss whose gradients are the means over all processes, averaged while they are computed.

    Args:
        modules: Everything that is trained; frozen parameters are not sent.
        loss: Gives, for one part of a batch, `loss` with gradient and other scalars by name.
        spread: Puts a loss as a module onto all processes.
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        loss: Callable[[PartT], dict[str, Tensor]],
        spread: Callable[[nn.Module], nn.Module] = replicated,
    ) -> None:
        self._loss = spread(_Loss(modules, loss))

    def backward(self, parts: Sequence[PartT]) -> dict[str, Tensor]:
        """Add up the gradients of the equal parts of a batch; return the means of the scalars.

        The scalars are of this process's part, without gradient.
        """
        values: list[Tensor] = []
        for number, part in enumerate(parts, start=1):
            with self._sending(last=number == len(parts)):
                found = self._loss(part)
                torch.autograd.backward(found["loss"] / len(parts))
            values.append(torch.stack([value.detach() for value in found.values()]))
        means = torch.stack(values).mean(dim=0)
        return dict(zip(found, means.unbind(), strict=True))

    def _sending(self, *, last: bool) -> AbstractContextManager[Any]:
        """Return the context in which gradients are sent: replicas wait for the last part."""
        if last or not isinstance(self._loss, DistributedDataParallel):
            return nullcontext()
        return self._loss.no_sync()


class _Loss(nn.Module):
    """A loss as a module, which is what torch's own machinery takes."""

    def __init__(
        self, modules: Iterable[nn.Module], loss: Callable[[Any], dict[str, Tensor]]
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)
        self._compute = loss

    def forward(self, part: Any) -> dict[str, Tensor]:
        return self._compute(part)
