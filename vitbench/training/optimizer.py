"""The optimizer: which parameters decay, how gradients are clipped and averaged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vitbench import distributed
from vitbench.objectives.progress import Progress
from vitbench.settings import setting
from vitbench.training.schedules import Cosine, Schedule

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """AdamW with scheduled learning rate and weight decay.

    Source:
        facebookresearch/dino, main_dino.py and utils.py, get_params_groups and clip_gradients
        (7c446df). Global clipping: SwinTransformer/Transformer-SSL, moby_main.py (4510de1).
    """

    learning_rate: Schedule = setting(
        Cosine(5e-4, 1e-6, 10), help="learning rate for a batch of `batch_unit` images"
    )
    batch_unit: int = setting(256, help="batch that the learning rate is given for", minimum=1)
    weight_decay: Schedule = setting(Cosine(0.04, 0.4), help="decay of matrices, not of vectors")
    betas: tuple[float, float] = setting(
        (0.9, 0.999), help="decay of the running moments", minimum=0, maximum=0.999999
    )
    clip: float = setting(3.0, help="largest norm of a gradient; 0 for no limit", minimum=0)
    clip_by: Literal["tensor", "global"] = setting(
        "tensor", help="norm of each parameter, or of all together", choices=("tensor", "global")
    )

    def build(self, modules: "Iterable[nn.Module]") -> "torch.optim.Optimizer":
        """Return the optimizer of all trained parameters of some modules.

        Matrices and higher tensors decay, tokens and positions among them; vectors and biases
        do not.
        """
        import torch

        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for module in modules:
            for name, parameter in module.named_parameters():
                if parameter.requires_grad:
                    decays = parameter.ndim > 1 and not name.endswith(".bias")
                    groups[decays].append(parameter)
        decaying: dict[str, Any] = {"params": groups[True]}
        rest: dict[str, Any] = {"params": groups[False], "weight_decay": 0.0}
        return torch.optim.AdamW([decaying, rest], lr=0.0, betas=self.betas, fused=True)

    def values(self, progress: Progress, batch_size: int) -> dict[str, float]:
        """Return learning rate and weight decay of the coming step."""
        rate = self.learning_rate.scaled(batch_size / self.batch_unit).at(progress)
        return {"learning_rate": rate, "weight_decay": self.weight_decay.at(progress)}

    def schedule(
        self, optimizer: "torch.optim.Optimizer", progress: Progress, batch_size: int
    ) -> None:
        """Set learning rate and weight decay of the coming step."""
        values = self.values(progress, batch_size)
        for group in optimizer.param_groups:
            group["lr"] = values["learning_rate"]
        optimizer.param_groups[0]["weight_decay"] = values["weight_decay"]

    def limit(self, parameters: "Iterable[Tensor]") -> None:
        """Clip the gradients, without waiting for the device."""
        from vitbench.training.clipping import clip_each, clip_together

        if self.clip:
            clip = clip_each if self.clip_by == "tensor" else clip_together
            clip(parameters, self.clip)


def average_gradients(parameters: "Sequence[Tensor]") -> None:
    """Replace every gradient by its mean over all processes, in one reduction."""
    import torch

    gradients = gradients_of(parameters)
    if distributed.world_size() == 1 or not gradients:
        return
    with torch.no_grad():
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        flat = distributed.sum_over_processes(flat) / distributed.world_size()
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def gradients_of(parameters: "Iterable[Tensor]") -> "list[Tensor]":
    """Return the gradients that are there."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
