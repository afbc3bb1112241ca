"""One training run in memory: student and teacher, their objectives, and the step they make."""

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from vitbench import distributed
from vitbench.data.multicrop import GLOBAL_CROPS
from vitbench.data.training_loader import CropBatch
from vitbench.data.upload import send
from vitbench.models.backbone import Backbone
from vitbench.models.low_precision import weights_cast_together
from vitbench.models.recorded_attention import fuse
from vitbench.objectives.crop_features import CropFeatures
from vitbench.objectives.objective import Annotations, Branch, Objective, TermLoss
from vitbench.objectives.progress import Progress
from vitbench.training.activation_checkpointing import checkpoint_activations
from vitbench.training.compiling import compile_networks, leave_uncompiled
from vitbench.training.drop_path import DropPath, without_drop_path
from vitbench.training.options import ComputeConfig
from vitbench.training.parallel import ParallelLoss
from vitbench.training.recipe import Recipe
from vitbench.training.sharding import fill, fill_optimizer, in_shards
from vitbench.training.snapshot import copy_on_main
from vitbench.training.student_teacher import Network, StudentTeacher


class Trainer:
    """Runs a recipe step by step.

    Args:
        recipe: What to learn.
        steps_per_epoch: Steps that make an epoch.
        device: Where to compute.
        computing: How to compute.
        annotations: By the name of its objective, what a term knows of crops beside their pixels.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        steps_per_epoch: int,
        device: torch.device,
        computing: ComputeConfig = ComputeConfig(),
        annotations: Mapping[str, Annotations] = {},
    ) -> None:
        self.recipe, self.device, self.annotations = recipe, device, annotations
        self.computing = computing.on(device)
        self.steps_per_epoch, self.step, self.skipped = steps_per_epoch, 0, 0
        backbone = recipe.build_backbone()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.objectives = nn.ModuleDict(
                {term.objective.name: term.objective.build(backbone.info) for term in recipe.active}
            )
            heads = {name: objective.build_head() for name, objective in self._named()}
        self.dtype = torch.float64 if computing.precision == "fp64" else torch.float32
        student_teacher = StudentTeacher(
            Network(backbone, heads), has_teacher=recipe.teacher_momentum is not None
        )
        place = torch.device("cpu") if computing.shard else device  # it gets a block at a time
        self.student_teacher = student_teacher.to(place, self.dtype)
        self.objectives.to(place, self.dtype)
        if self.student_teacher.teacher is not None:
            without_drop_path(self.student_teacher.teacher.backbone)
        self.drop_path = DropPath(self.student_teacher.student.backbone)
        if self.computing.precision == "bf16" and device.type == "cpu":
            # PyTorch's fused attention takes 2 to 9 times as long there, backwards
            fuse(self.student_teacher.student.backbone, fused=False)
        if self.computing.compile == "on":
            compile_networks(self.student_teacher.networks)
        if computing.activation_checkpointing:
            checkpoint_activations(self.student_teacher.student.backbone, self.drop_path)
        trained = (self.student_teacher.student, self.objectives)
        if computing.shard:
            networks = self.student_teacher.networks
            blocks = [block for each in networks for block in each.backbone.repeated_blocks()]
            spread = partial(in_shards, blocks=blocks, device=device)
            self.loss = ParallelLoss((self.student_teacher, self.objectives), self._loss, spread)
        else:
            self.loss = ParallelLoss(trained, self._loss)
        self.trained = [
            parameter
            for module in trained
            for parameter in module.parameters()
            if parameter.requires_grad
        ]
        self.optimizer = recipe.optimizer.build(trained)

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
        values = self._compiled_gradients(batch)
        self.step += 1
        if self._skips(values["loss"]):
            return {}  # nothing moves
        for name, objective in self._named():
            objective.after_backward(self.student_teacher.student.heads[name], progress)
        self.recipe.optimizer.limit(self.trained)
        self.optimizer.step()
        if self.recipe.teacher_momentum is not None:
            self.student_teacher.update_teacher(self.recipe.teacher_momentum.at(progress))
        for _, objective in self._named():
            objective.end_step()
        return values

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on; what is in shards stays so."""
        return {
            "step": self.step,
            "skipped": self.skipped,
            "pair": self.student_teacher.state_dict(),
            "objectives": self.objectives.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to a state of `state_dict` whose tensors are whole."""
        self.step, self.skipped = state["step"], state["skipped"]
        fill(self.student_teacher, state["pair"])
        fill(self.objectives, state["objectives"])
        fill_optimizer(self.optimizer, state["optimizer"])

    def scored_backbone(self) -> Backbone | None:
        """Return the backbone that is scored; of shards, a whole copy on the main process alone.

        Every process takes part; those that have no more than shards get None.
        """
        backbone = self.student_teacher.target.backbone
        if not self.computing.shard:
            return backbone
        state = copy_on_main(backbone.state_dict())
        if not distributed.is_main():
            return None
        whole = self.recipe.build_backbone().to(self.dtype).train(backbone.training)
        whole.load_state_dict(state)
        without_drop_path(whole)
        return whole.to(self.device)

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

    def _compiled_gradients(self, batch: CropBatch) -> dict[str, Tensor]:
        """Compute the gradients of a batch; where compiling fails, say so and go on without."""
        parts = list(parts_of(batch, self.computing.accumulate))
        try:
            return self.loss.backward(parts)
        except TorchDynamoException as error:
            leave_uncompiled(self.student_teacher.networks, error)
        for _, objective in self._named():
            objective.forget_step()
        self.optimizer.zero_grad(set_to_none=True)
        return self.loss.backward(parts)

    def _loss(self, batch: CropBatch) -> dict[str, Tensor]:
        """Return the weighted sum of the terms on one part of a batch, and all it is made of."""
        terms: dict[str, TermLoss] = {}
        both = self._crop_features(batch)
        with self._autocast(), self._low_weights():
            for name, objective in self._named():
                student, teacher = self._branches(name, both, batch)
                terms[name] = objective(student, teacher, self.progress)
            weights = {term.objective.name: term.weight for term in self.recipe.active}
            loss = torch.stack([weights[name] * term.value for name, term in terms.items()]).sum()
        values = {"loss": loss}
        for name, term in terms.items():
            values[name] = term.value.detach()
            values |= {f"{name}_{key}": value for key, value in term.measures.items()}
        return values

    def _crop_features(self, batch: CropBatch) -> tuple[CropFeatures, CropFeatures]:
        """Return the batch as the student and as the teacher will see it."""
        crops = [crop.to(self.device, self.dtype) for crop in batch.crops]

        def draw_drop_path(numbers: range) -> None:
            scales = self.drop_path.draw(
                seed=self.recipe.seed, step=self.step, crops=numbers, indices=batch.indices
            )
            self.drop_path.scales = send(scales, self.device, self.dtype)

        networks = self.student_teacher
        student, teacher = (
            CropFeatures(
                network.backbone,
                crops,
                global_crops=GLOBAL_CROPS,
                indices=batch.indices,
                gradient=network_learns,
                before_pass=draw_drop_path if drops and self.recipe.drop_path else None,
            )
            for network, network_learns, drops in (
                (networks.student, True, True),
                (networks.target, False, networks.teacher is None),
            )
        )
        return student, teacher

    def _branches(
        self, name: str, both: tuple[CropFeatures, CropFeatures], batch: CropBatch
    ) -> tuple[Branch, Branch]:
        """Return student and teacher as an objective sees them."""
        known: tuple[Tensor, ...] | None = None
        if name in self.annotations:
            known = tuple(part.to(self.device) for part in self.annotations[name](batch))
        networks = (self.student_teacher.student, self.student_teacher.target)
        student, teacher = (
            Branch(crops, network.heads[name], self.recipe.seed, self.step, known)
            for network, crops in zip(networks, both, strict=True)
        )
        return student, teacher

    def _named(self) -> Iterator[tuple[str, Objective]]:
        """Return the objectives by name, in the order of the terms."""
        objectives: Any = self.objectives
        return iter(objectives.items())

    def _low_weights(self) -> AbstractContextManager[None]:
        low = self.computing.precision == "bf16" and self.device.type == "cuda"
        twice = self.computing.activation_checkpointing  # a block reads its weights again
        low = low and not (twice or self.computing.shard)  # or has none before it computes
        return weights_cast_together(self.student_teacher, torch.bfloat16 if low else None)

    def _autocast(self) -> torch.autocast:
        # a weight that is cast in a pass without gradient must not be kept for one with it
        shared = self.student_teacher.teacher is None
        low = self.computing.precision == "bf16"
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=low, cache_enabled=not shared
        )


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
