"""The optimizer: which parameters decay, how fast they move, how gradients are clipped."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vitbench.objectives.progress import Progress
from vitbench.settings import setting
from vitbench.training.schedules import Cosine, Schedule

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig(ABC):
    """An optimizer with scheduled learning rate and weight decay, and clipped gradients.

    Source:
        facebookresearch/dino, main_dino.py and utils.py, get_params_groups and clip_gradients
        (7c446df). Global clipping: SwinTransformer/Transformer-SSL, moby_main.py (4510de1).
    """

    learning_rate: Schedule = setting(
        Cosine(5e-4, 1e-6, 10), help="learning rate for a batch of --optimizer.batch-unit images"
    )
    batch_unit: int = setting(
        256,
        help="batch size that the learning rate is given for; it grows in proportion",
        minimum=1,
    )
    weight_decay: Schedule = setting(
        Cosine(0.04, 0.4), help="weight decay; not applied to biases and norms"
    )
    clip: float = setting(3.0, help="norm that gradients are clipped to; 0: no clipping", minimum=0)
    clip_by: Literal["tensor", "global"] = setting(
        "tensor",
        help="clip the gradient of each parameter by its own norm, or all by their common norm",
        choices=("tensor", "global"),
    )

    @abstractmethod
    def optimizer(self, groups: "Iterable[dict[str, Any]]") -> "torch.optim.Optimizer":
        """Return the optimizer of groups of parameters; its learning rate is set before a step."""

    def build(self, modules: "Iterable[nn.Module]") -> "torch.optim.Optimizer":
        """Return the optimizer of all trained parameters of some modules.

        Matrices and higher tensors decay, tokens and positions among them; vectors and biases
        do not.
        """
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for module in modules:
            for name, parameter in module.named_parameters():
                if parameter.requires_grad:
                    decays = parameter.ndim > 1 and not name.endswith(".bias")
                    groups[decays].append(parameter)
        return self.optimizer(
            [{"params": groups[True]}, {"params": groups[False], "weight_decay": 0.0}]
        )

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW(OptimizerConfig):
    """AdamW."""

    betas: tuple[float, float] = setting(
        (0.9, 0.999), help="decay rates of AdamW's two running means", minimum=0, maximum=0.999999
    )

    def optimizer(self, groups: "Iterable[dict[str, Any]]") -> "torch.optim.Optimizer":
        """See `OptimizerConfig.optimizer`."""
        import torch

        return torch.optim.AdamW(groups, lr=0.0, betas=self.betas, fused=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SGD(OptimizerConfig):
    """Stochastic gradient descent with momentum."""

    momentum: float = setting(0.9, help="SGD momentum", minimum=0, maximum=1)

    def optimizer(self, groups: "Iterable[dict[str, Any]]") -> "torch.optim.Optimizer":
        """See `OptimizerConfig.optimizer`."""
        import torch

        return torch.optim.SGD(groups, lr=0.0, momentum=self.momentum)
