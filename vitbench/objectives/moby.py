"""MoBY: a student predicts its teacher's view of the other crop among a queue of others."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitbench import distributed
from vitbench.errors import SettingError
from vitbench.models.backbone import BackboneInfo
from vitbench.models.layers import Linear
from vitbench.objectives.batch_norm import BatchNorm
from vitbench.objectives.objective import Branch, Objective, TermLoss
from vitbench.objectives.precision import single_precision
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import Moby


class MobyObjective(Objective):
    """The contrastive term with its predictor and its queues."""

    queues: Tensor
    pointer: Tensor

    def __init__(self, settings: Moby, info: BackboneInfo) -> None:
        super().__init__()
        self.settings, self.embed_dim = settings, info.embed_dim
        width = settings.key_dim
        self.predictor = KeyMlp(width, settings.hidden_dim, width)
        random = torch.randn(2, width, settings.queue)
        self.register_buffer(
            "queues", functional.normalize(random, dim=1)
        )  # (view, key_dim, queue)
        self.register_buffer("pointer", torch.zeros(1, dtype=torch.long))
        self._seen: list[Tensor] = []  # keys of this step, (view, rows, key_dim) each

    def build_head(self) -> nn.Module:
        """Return the projector."""
        return KeyMlp(self.embed_dim, self.settings.hidden_dim, self.settings.key_dim)

    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """See `Objective.forward`. BatchNorm sees one view at a time, as in the reference."""
        learned, seen = student.image_features(2), teacher.image_features(2)
        predicted = [unit(self.predictor(student.head(view))) for view in learned]
        with torch.no_grad():
            keys = torch.stack([unit(teacher.head(view)) for view in seen])
            self._seen.append(keys)
        first, second = (
            contrast(
                predicted[view], keys[1 - view], self.queues[1 - view], self.settings.temperature
            )
            for view in range(2)
        )
        return TermLoss(first + second, {"spread": spread(self.queues)})

    @torch.no_grad()
    def end_step(self) -> None:
        """Put the keys of all processes into the queues, in the order of the batch."""
        keys = distributed.gather_rows(torch.cat(self._seen, dim=1).transpose(0, 1))
        self.forget_step()
        size = self.queues.shape[-1]
        if size % len(keys):
            raise SettingError(
                [f"--moby.queue is {size}, expected a multiple of the {len(keys)} images of a step"]
            )
        places = (self.pointer + torch.arange(len(keys), device=keys.device)) % size
        self.queues[:, :, places] = keys.permute(1, 2, 0).to(self.queues.dtype)
        self.pointer.add_(len(keys)).remainder_(size)

    def forget_step(self) -> None:
        """See `Objective.forget_step`."""
        self._seen.clear()


class KeyMlp(nn.Module):
    """MoBY's projector and predictor: linear, BatchNorm, ReLU, linear."""

    def __init__(self, width: int, hidden_dim: int, key_dim: int) -> None:
        super().__init__()
        self.linear_hidden = nn.Sequential(
            nn.Identity(), Linear(width, hidden_dim), BatchNorm(hidden_dim), nn.ReLU()
        )
        self.linear_out = Linear(hidden_dim, key_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map rows (rows, width) to (rows, key_dim)."""
        return self.linear_out(self.linear_hidden(x))  # type: ignore[no-any-return]


@single_precision
def unit(rows: Tensor) -> Tensor:
    """Bring rows to length 1."""
    return functional.normalize(rows, dim=-1)


def spread(queues: Tensor) -> Tensor:
    """Return how far unit keys lie apart: 0 if they are all equal (collapse), at most 1.

    It is their mean squared distance from their mean.

    Args:
        queues: Unit columns, shape (views, key_dim, queue).
    """
    return 1 - queues.mean(dim=2).square().sum(dim=1).mean()


@single_precision
def contrast(predicted: Tensor, keys: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy of telling each row's own key from those of a queue.

    Args:
        predicted: Unit rows, shape (B, key_dim).
        keys: Their positives, unit rows, shape (B, key_dim).
        queue: The negatives, unit columns, shape (key_dim, queue).
        temperature: Of the softmax.
    """
    own = (predicted * keys).sum(dim=-1, keepdim=True)
    logits = torch.cat([own, predicted @ queue], dim=1) / temperature
    return (logits.logsumexp(dim=1) - logits[:, 0]).mean()
