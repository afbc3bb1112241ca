"""One training run in memory: the pair, its objectives, and the step that moves them."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import accumulate, groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from vitbench import distributed
from vitbench.data.training_loader import CropBatch
from vitbench.data.upload import send
from vitbench.models.low_precision import weights_cast_together
from vitbench.objectives.objective import Branch, Objective, TermLoss
from vitbench.objectives.progress import Progress
from vitbench.training.drop_path import DropPath, without_drop_path
from vitbench.training.optimizer import average_gradients
from vitbench.training.options import ComputeConfig
from vitbench.training.recipe import Recipe
from vitbench.training.student_teacher import Network, StudentTeacher
from vitbench.training.truth import Truth

GLOBAL_CROPS = 2


class Trainer:
    """Runs a recipe step by step.

    Args:
        recipe: What to learn.
        steps_per_epoch: Steps that make an epoch.
        device: Where to compute.
        computing: How to compute.
        truth: Neighbors with the same labels, for a patch term that is guided by them.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        steps_per_epoch: int,
        device: torch.device,
        computing: ComputeConfig = ComputeConfig(),
        truth: Truth | None = None,
    ) -> None:
        self.recipe, self.device, self.truth = recipe, device, truth
        self.computing = computing.on(device)
        self.steps_per_epoch, self.step = steps_per_epoch, 0
        backbone = recipe.build_backbone()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.objectives = nn.ModuleDict(
                {term.objective.name: term.objective.build(backbone.info) for term in recipe.active}
            )
            heads = {name: objective.build_head() for name, objective in self._named()}
        dtype = torch.float64 if computing.precision == "fp64" else torch.float32
        self.student_teacher = StudentTeacher(Network(backbone, heads)).to(device, dtype)
        self.objectives.to(device, dtype)
        without_drop_path(self.student_teacher.teacher.backbone)
        self.drop_path = DropPath(self.student_teacher.student.backbone)
        if computing.compile:
            for side in (self.student_teacher.student, self.student_teacher.teacher):
                side.backbone.compile()
        self.trained = [
            parameter
            for module in (self.student_teacher.student, self.objectives)
            for parameter in module.parameters()
            if parameter.requires_grad
        ]
        self.optimizer = recipe.optimizer.build((self.student_teacher.student, self.objectives))
        self.skipped = 0

    @property
    def progress(self) -> Progress:
        """Where the run stands."""
        return Progress(self.step, self.steps_per_epoch, self.recipe.epochs)

    def train_step(self, batch: CropBatch) -> dict[str, Tensor]:
        """Learn from one batch.

        Returns:
            The loss and what its terms measured, scalars on the device: this process's part.
            Empty if the step was skipped.
        """
        progress = self.progress
        self.recipe.optimizer.schedule(self.optimizer, progress, self.recipe.batch_size)
        self.optimizer.zero_grad(set_to_none=True)
        values = self._compiled_gradients(batch, progress)
        average_gradients(self.trained)
        self.step += 1
        if self._skips(values["loss"]):
            return {}  # nothing moves
        for name, objective in self._named():
            objective.after_backward(self.student_teacher.student.heads[name], progress)
        self.recipe.optimizer.limit(self.trained)
        self.optimizer.step()
        self.student_teacher.update_teacher(self.recipe.teacher_momentum.at(progress))
        for _, objective in self._named():
            objective.end_step()
        return values

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {
            "step": self.step,
            "skipped": self.skipped,
            "pair": self.student_teacher.state_dict(),
            "objectives": self.objectives.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to a state of `state_dict`."""
        self.step, self.skipped = state["step"], state["skipped"]
        self.student_teacher.load_state_dict(state["pair"])
        self.objectives.load_state_dict(state["objectives"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _skips(self, loss: Tensor) -> bool:
        """Tell whether this step is to be left out, because its loss is not finite anywhere."""
        if self.skipped >= self.computing.on_nonfinite[1]:
            return False
        if math.isfinite(distributed.sum_over_processes(loss.clone()).item()):
            return False
        self.skipped += 1
        for _, objective in self._named():
            objective.forget_step()
        return True

    def _compiled_gradients(self, batch: CropBatch, progress: Progress) -> dict[str, Tensor]:
        """Do as `_gradients`; where compiling fails, say so and do it again without."""
        try:
            return self._gradients(batch, progress)
        except TorchDynamoException as error:
            told = str(error).strip().splitlines()[0]
            logging.getLogger("vitbench").warning("--compile failed, going on without: %s", told)
        for side in (self.student_teacher.student, self.student_teacher.teacher):
            side.backbone._compiled_call_impl = None
        for _, objective in self._named():
            objective.forget_step()
        self.optimizer.zero_grad(set_to_none=True)
        return self._gradients(batch, progress)

    def _gradients(self, batch: CropBatch, progress: Progress) -> dict[str, Tensor]:
        """Add up the gradients of a batch, part by part, and return what was measured."""
        values: dict[str, Tensor] = {}
        parts = self.computing.accumulate
        for part in parts_of(batch, parts):
            with self._autocast(), self._low_weights():
                loss, measured = self._loss(part, progress)
            torch.autograd.backward(loss / parts)
            for name, value in measured.items():
                values[name] = values.get(name, 0) + value / parts
        return values

    def _loss(self, batch: CropBatch, progress: Progress) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of the terms on one part of a batch, and all it is made of."""
        crops = [crop.to(self.device, self.trained[0].dtype) for crop in batch.crops]
        whole = any(objective.teacher_crops == "all" for _, objective in self._named())
        with torch.no_grad():
            seen = encode_crops(
                self.student_teacher.teacher, crops if whole else crops[:GLOBAL_CROPS]
            )
        if self.truth is not None:
            seen = replace(seen, positives=self._positives(seen, batch, self.truth))

        def drop(crops: range) -> None:
            scales = self.drop_path.draw(
                seed=self.recipe.seed, step=progress.step, crops=crops, indices=batch.indices
            )
            self.drop_path.scales = send(scales, self.device, self.trained[0].dtype)

        learned = encode_crops(
            self.student_teacher.student, crops, drop if self.recipe.drop_path else None
        )
        terms: dict[str, TermLoss] = {}
        for name, objective in self._named():
            student = replace(learned, head=self.student_teacher.student.heads[name])
            teacher = replace(seen, head=self.student_teacher.teacher.heads[name])
            terms[name] = objective(student, teacher, progress)
        weights = {term.objective.name: term.weight for term in self.recipe.active}
        loss = torch.stack([weights[name] * term.value for name, term in terms.items()]).sum()
        measured = {"loss": loss.detach()}
        for name, term in terms.items():
            measured[name] = term.value.detach()
            measured |= {f"{name}_{key}": value for key, value in term.measures.items()}
        return loss, measured

    def _positives(self, seen: Branch, batch: CropBatch, truth: Truth) -> tuple[Tensor, ...]:
        """Return the ground truth of each group of crops, crop-major as its rows."""
        masks = [mask.to(self.device) for mask in truth(batch)]
        ends = accumulate(seen.crops)
        return tuple(
            torch.cat(masks[end - count : end]) for count, end in zip(seen.crops, ends, strict=True)
        )

    def _named(self) -> Iterator[tuple[str, Objective]]:
        """Return the objectives by name, in the order of the terms."""
        objectives: Any = self.objectives
        return iter(objectives.items())

    def _low_weights(self) -> AbstractContextManager[None]:
        low = self.computing.precision == "bf16" and self.device.type == "cuda"
        return weights_cast_together(self.student_teacher, torch.bfloat16 if low else None)

    def _autocast(self) -> torch.autocast:
        low = self.computing.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=low)


def encode_crops(
    side: Network, crops: Sequence[Tensor], before: Callable[[range], None] | None = None
) -> Branch:
    """Pass crops through a backbone, those of one size together.

    Args:
        side: Whose backbone; the head is for the caller to choose.
        crops: Each of shape (B, 3, S, S), global crops first.
        before: Told which crops pass next.
    """
    runs = [list(same) for _, same in groupby(crops, key=lambda crop: crop.shape[-2:])]

    def see(run: list[Tensor], end: int) -> Any:
        if before is not None:
            before(range(end - len(run), end))
        return side.backbone(torch.cat(run))[0]

    ends = accumulate(len(run) for run in runs)
    groups = tuple(see(run, end) for run, end in zip(runs, ends, strict=True))
    counts = tuple(len(run) for run in runs)
    return Branch(groups, counts, side, side.backbone, (None,) * len(runs))


def parts_of(batch: CropBatch, count: int) -> Iterator[CropBatch]:
    """Cut a batch into equal parts."""
    size = len(batch.indices) // count
    for first in range(0, size * count, size):
        part = slice(first, first + size)
        yield CropBatch(
            crops=[crop[part] for crop in batch.crops],
            ids=batch.ids[part],
            indices=batch.indices[part],
            sizes=batch.sizes[part],
            boxes=batch.boxes[part],
            flips=batch.flips[part],
        )
