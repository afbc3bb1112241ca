"""A grid of heads, (feature set, learning rate) each: those of one feature set share a product."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vitbench.api import Output
from vitbench.kit import send
from vitbench_protocols.linear_probe.features import FeatureSet
from vitbench_protocols.linear_probe.heads import Heads, make_heads, places
from vitbench_protocols.linear_probe.sources import Vectors

SCORED_ROWS = 4096  # that are classified at once


@dataclass(frozen=True, slots=True)
class Head:
    """One point of the grid."""

    features: FeatureSet
    rate: float  # base learning rate, for a batch of 256

    def __str__(self) -> str:
        return f"learning rate {self.rate:g} on the {self.features.said}"


class Grid:
    """Heads in groups of one feature set each.

    Args:
        heads: May be none, where more processes share the work than there are heads.
        widths: Width D of each output.
        classes: C.
        seed: Of the first weights.
        device: Where they are trained.
    """

    def __init__(
        self,
        heads: Sequence[Head],
        *,
        widths: Mapping[Output, int],
        classes: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.heads = tuple(heads)
        self.groups: dict[FeatureSet, Heads] = {}
        for features in dict.fromkeys(head.features for head in heads):
            rates = [head.rate for head in heads if head.features == features]
            width = sum(widths[output] for output in features.outputs)
            self.groups[features] = make_heads(rates, width, classes, seed=seed, device=device)

    def states(self) -> dict[str, list[Tensor]]:
        """Return all that training changes, by head, on the CPU."""
        return {name: [part.cpu() for part in parts] for name, parts in self._parts()}

    def load_states(self, states: Mapping[str, Sequence[Tensor]]) -> None:
        """Take what `states` gave, of any grid that had these heads."""
        for name, parts in self._parts():
            for part, value in zip(parts, states[name], strict=True):
                part.copy_(value)

    def step(self, vectors: Vectors, labels: Tensor, *, scale: float, momentum: float) -> None:
        """Take one step of every head."""
        for features, group in self.groups.items():
            group.step(features.join(vectors), labels, scale=scale, momentum=momentum)

    def places(self, vectors: Vectors, labels: Tensor, among: Tensor | None = None) -> Tensor:
        """Return the place of the right class for every row and head, (n, heads), on the CPU.

        Args:
            vectors: Of the rows.
            labels: (n,).
            among: The classes that compete; None: all.
        """
        columns: dict[Head, Tensor] = {}
        if not self.heads:
            return torch.zeros((len(labels), 0), dtype=torch.int64)
        for features, group in self.groups.items():
            found = torch.cat(
                [
                    self._places(features, group, vectors, labels, rows, among)
                    for rows in _rows(labels)
                ]
            ).cpu()
            own = [head for head in self.heads if head.features == features]
            columns |= dict(zip(own, found.T, strict=True))
        return torch.stack([columns[head] for head in self.heads], dim=1)

    def _parts(self) -> Iterator[tuple[str, Sequence[Tensor]]]:
        """Yield the name and the tensors of each head."""
        for features, group in self.groups.items():
            own = [head for head in self.heads if head.features == features]
            for number, head in enumerate(own):
                yield f"{head.rate!r} on the {features.said}", group.of(number)

    def _places(
        self,
        features: FeatureSet,
        group: Heads,
        vectors: Vectors,
        labels: Tensor,
        rows: slice,
        among: Tensor | None,
    ) -> Tensor:
        device = group.weight.device
        part = {output: send(values[rows], device) for output, values in vectors.items()}
        logits = group.logits(features.join(part))
        if among is not None:
            others = torch.ones(logits.shape[2], dtype=torch.bool, device=device)
            others.index_fill_(0, send(among, device), False)
            logits = logits.masked_fill(others, -torch.inf)
        return places(logits, send(labels[rows], device))


def _rows(labels: Tensor) -> list[slice]:
    return [slice(at, at + SCORED_ROWS) for at in range(0, len(labels), SCORED_ROWS)]
