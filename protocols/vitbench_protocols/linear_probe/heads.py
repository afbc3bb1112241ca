"""Linear heads that read the same features, trained together: one matrix product for all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

INIT_STD = 0.01
KEPT = 1 << 20  # logits, 4 MB, that stay in the cache of a core


@dataclass(frozen=True, slots=True)
class Heads:
    """H linear classifiers over one feature set, with SGD's momentum, on one device.

    The gradient of the cross-entropy is written out: softmax minus one-hot, times the features. It
    is that of H separate `nn.Linear` under `SGD(momentum)`, at the price of two products.
    """

    rates: Tensor  # (H,) base learning rate of each
    weight: Tensor  # (H * C, d)
    bias: Tensor  # (H * C,)
    weight_momentum: Tensor
    bias_momentum: Tensor

    def of(self, number: int) -> tuple[Tensor, ...]:
        """Return all that training changes of one classifier, as views."""
        whole = (self.weight, self.bias, self.weight_momentum, self.bias_momentum)
        return tuple(
            tensor.view(len(self.rates), -1, *tensor.shape[1:])[number] for tensor in whole
        )

    def logits(self, features: Tensor) -> Tensor:
        """Classify features (B, d); returns (B, H, C)."""
        flat = torch.addmm(self.bias, features, self.weight.T)
        return flat.view(len(features), len(self.rates), -1)

    def step(self, features: Tensor, labels: Tensor, *, scale: float, momentum: float) -> None:
        """Take one step of every head on a batch.

        Args:
            features: (B, d).
            labels: (B,) class indices.
            scale: What each head's base learning rate is multiplied by now.
            momentum: Of SGD.
        """
        for some in self._groups(len(features)):
            some._step(features, labels, scale, momentum)

    def _groups(self, rows: int) -> "Iterator[Heads]":
        """Yield views of a few heads after others: so many that a core keeps their logits."""
        heads, classes = len(self.rates), len(self.bias) // len(self.rates)
        on_cpu = self.bias.device.type == "cpu"
        most = max(1, KEPT // (rows * classes)) if on_cpu else heads
        for first in range(0, heads, most):
            values = slice(first * classes, (first + most) * classes)
            whole = (self.weight, self.bias, self.weight_momentum, self.bias_momentum)
            yield Heads(self.rates[first : first + most], *(tensor[values] for tensor in whole))

    def _step(self, features: Tensor, labels: Tensor, scale: float, momentum: float) -> None:
        # items last: few classes would not fill a vector of the processor
        logits = torch.addmm(self.bias[:, None], self.weight, features.T)
        gradient = logits.view(len(self.rates), -1, len(labels)).softmax(dim=1)  # of the loss's sum
        gradient[:, labels, torch.arange(len(labels), device=labels.device)] -= 1
        gradient, mean = gradient.flatten(0, 1), 1 / len(labels)  # (H * C, B)
        self.weight_momentum.addmm_(gradient, features, beta=momentum, alpha=mean)
        self.bias_momentum.mul_(momentum).add_(gradient.sum(dim=1), alpha=mean)
        rates = (self.rates * scale).repeat_interleave(len(self.bias) // len(self.rates))
        self.weight.addcmul_(self.weight_momentum, rates[:, None], value=-1)
        self.bias.addcmul_(self.bias_momentum, rates, value=-1)


def make_heads(
    rates: Sequence[float], dim: int, classes: int, *, seed: int, device: torch.device
) -> Heads:
    """Make heads with weights from N(0, 0.01) and no bias; all start from the same weights."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.empty(classes, dim).normal_(std=INIT_STD, generator=generator).to(device)
    weight = first.repeat(len(rates), 1)
    bias = torch.zeros(len(weight), device=device)
    return Heads(
        torch.tensor(rates, device=device),
        weight,
        bias,
        torch.zeros_like(weight),
        torch.zeros_like(bias),
    )


def places(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the place of the right class among the logits, 0 for the first; ties by class index.

    Logits that are no numbers, of a head that diverged, put it last.

    Args:
        logits: (B, H, C).
        labels: (B,).

    Returns:
        (B, H), int64.
    """
    right = logits.gather(2, labels[:, None, None].expand(-1, logits.shape[1], 1))
    later = torch.arange(logits.shape[2], device=labels.device) >= labels[:, None, None]
    behind = (logits < right) | ((logits == right) & later)  # itself included
    return logits.shape[2] - behind.sum(dim=2)
