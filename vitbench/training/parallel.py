"""Gradients of a loss, over the parts of a batch and over all processes."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel

from vitbench import distributed
from vitbench.training.sharding import shard_parameters

PartT = TypeVar("PartT")


class ParallelLoss(Generic[PartT]):
    """A loss whose gradients are the means over all processes, averaged while they are computed.

    Args:
        modules: Everything that is trained; frozen parameters are not sent.
        loss: Gives, for one part of a batch, `loss` with gradient and other scalars by name.
        shard: Let every process hold its share of all parameters.
        blocks: With `shard`: parts of the modules that are put together one by one.
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        loss: Callable[[PartT], dict[str, Tensor]],
        *,
        shard: bool = False,
        blocks: Iterable[nn.Module] = (),
    ) -> None:
        self._loss: nn.Module = _Loss(modules, loss)
        self.sharded = shard and distributed.world_size() > 1
        if self.sharded:
            shard_parameters(self._loss, blocks)
        elif distributed.world_size() > 1:
            self._loss.unused = nn.Parameter(torch.zeros(1))  # torch warns where it finds none
            with warnings.catch_warnings():  # newer versions have a second name for the first one
                warnings.simplefilter("ignore", FutureWarning)
                self._loss = DistributedDataParallel(
                    self._loss,
                    broadcast_buffers=False,  # they are reduced where they change
                    find_unused_parameters=True,  # a term may need no head, a pass no mask token
                    gradient_as_bucket_view=True,
                )

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
        """Return the context in which gradients are sent if it is the last part."""
        if isinstance(self._loss, FSDPModule):
            self._loss.set_requires_gradient_sync(last)
        if last or not isinstance(self._loss, DistributedDataParallel):
            return nullcontext()
        return self._loss.no_sync()


class _Loss(nn.Module):
    """A loss as a module, which is what torch's own machinery takes."""

    def __init__(
        self, modules: Iterable[nn.Module], loss: Callable[[Any], dict[str, Tensor]]
    ) -> None:
        super().__init__()
        self.trained = nn.ModuleList(modules)
        self._compute = loss

    def forward(self, part: Any) -> dict[str, Tensor]:
        return self._compute(part)
