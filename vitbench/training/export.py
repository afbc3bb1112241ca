"""Write a run, or any checkpoint, in the layout of a method's own code."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitbench.errors import CheckpointError, UnknownName, listed
from vitbench.models.run_folder import SNAPSHOTS
from vitbench.records import atomic

if TYPE_CHECKING:
    from torch import Tensor

    from vitbench.models.checkpoint import Checkpoint

Memory = Callable[["Tensor"], "dict[str, Tensor]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A method's training file: what our names are called there, and in which part of it.

    Our names are those of a snapshot: `student.`, `teacher.` and `objectives.`, then the module.
    """

    about: str
    names: tuple[tuple[str, str], ...]  # front of ours -> part/front of theirs; the first that fits
    memory: Mapping[str, Memory]  # our buffer -> the tensors it makes, by part/name
    scored: str = "teacher"  # the side that the method evaluates

    def content(self, ours: "Mapping[str, Tensor]", *, subject: str) -> dict[str, Any]:
        """Return the parts of the file.

        Raises:
            CheckpointError: Some of our weights have no place in this layout.
        """
        parts: dict[str, Any] = {}
        homeless = []
        for name, value in ours.items():
            found = self._places(name, value)
            if not found:
                homeless.append(name)
            for place, tensor in found.items():
                part, _, theirs = place.partition("/")
                parts.setdefault(part, {})[theirs] = tensor.contiguous()
        if homeless:
            raise CheckpointError(
                f"{subject}: some weights have no place in {self.about}.",
                expected=f"names that begin with {', '.join(rule[0] for rule in self.names)}",
                found=listed(homeless),
                hint="vitbench export --help lists the formats",
            )
        return parts

    def _places(self, name: str, value: "Tensor") -> "dict[str, Tensor]":
        if name in self.memory:
            return self.memory[name](value)
        rule = next((rule for rule in self.names if name.startswith(rule[0])), None)
        return {rule[1] + name.removeprefix(rule[0]): value} if rule else {}


def _distilled(*renamed: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Write rules for both sides: the student's names begin with `module.`."""
    sides = (("student.", "student/module."), ("teacher.", "teacher/"))
    return tuple((side + ours, part + theirs) for side, part in sides for ours, theirs in renamed)


def _center(name: str, dimensions: int = 2) -> Memory:
    """Write a center into `dino_loss`, with leading dimensions of 1."""
    return lambda value: {f"dino_loss/{name}": value.view(*[1] * (dimensions - 1), -1)}


LAYOUTS = {
    "dino": Layout(
        about="the training file of facebookresearch/dino (7c446df)",
        names=_distilled(("backbone.", "backbone."), ("heads.dino.", "head.")),
        memory={"objectives.dino.center.value": _center("center")},
    ),
    "selfpatch": Layout(
        about="the training file of alinlab/SelfPatch (81aef14)",
        names=_distilled(
            ("backbone.ca_head.", "ca_head."),
            ("backbone.", "backbone."),
            ("heads.dino.", "c_head."),
            ("heads.patch.", "p_head."),
        ),
        memory={
            "objectives.dino.center.value": _center("center", 3),
            "objectives.patch.center.value": _center("patch_center"),
        },
    ),
    "esvit": Layout(
        about="the training file of microsoft/esvit (2d6becd)",
        names=_distilled(
            ("backbone.", ""), ("heads.dino.", "head."), ("heads.region.", "head_dense.")
        ),
        memory={
            "objectives.dino.center.value": _center("center"),
            "objectives.region.center.value": _center("center_grid"),
        },
    ),
    "moby": Layout(
        about="the training file of SwinTransformer/Transformer-SSL (4510de1)",
        names=(
            ("student.backbone.", "model/encoder."),
            ("teacher.backbone.", "model/encoder_k."),
            ("student.heads.moby.", "model/projector."),
            ("teacher.heads.moby.", "model/projector_k."),
            ("objectives.moby.predictor.", "model/predictor."),
        ),
        memory={
            "objectives.moby.queues": lambda value: {
                f"model/queue{view}": queue for view, queue in enumerate(value, start=1)
            },
            "objectives.moby.pointer": lambda value: {"model/queue_ptr": value},
        },
        scored="student",
    ),
}


def export(spec: str, layout: str, path: Path) -> Path:
    """Write a checkpoint in a method's layout.

    A run's folder gives student, teacher, memories and epoch; any other checkpoint gives the
    backbone alone. The state of the optimizer stays behind: its parameters have another
    order there.

    Args:
        spec: A run's folder, or whatever `resolve` knows.
        layout: Name of the layout.
        path: The file to write.

    Raises:
        UnknownName: No such layout.
        CheckpointError: The weights do not fit it.
    """
    import torch

    from vitbench.models.checkpoint import resolve
    from vitbench.models.python_network import PythonArchitecture
    from vitbench.models.timm_architecture import TimmArchitecture
    from vitbench.training.options import CheckpointConfig
    from vitbench.training.snapshot import Snapshots, load_snapshot

    if layout not in LAYOUTS:
        raise UnknownName("format", layout, LAYOUTS)
    snapshot = Snapshots(Path(spec) / SNAPSHOTS, CheckpointConfig()).latest()
    checkpoint = resolve(spec)
    target = LAYOUTS[layout]
    if snapshot is None:
        ours = {f"{target.scored}.backbone.{name}": part for name, part in checkpoint.state.items()}
        content = target.content(ours, subject=spec)
    else:
        state = load_snapshot(snapshot, torch.device("cpu"))
        content = {**target.content(_names(state), subject=spec), "epoch": state["epoch"]}
    shape = checkpoint.architecture
    if isinstance(shape, TimmArchitecture | PythonArchitecture):
        raise CheckpointError(f"{spec}: {layout!r} is no layout for a {shape.name}.")
    content["args"] = Namespace(arch=_published_name(checkpoint), patch_size=shape.patch_size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        torch.save(content, temporary)
    return path


def _names(state: Mapping[str, Any]) -> "dict[str, Tensor]":
    """Return the weights and buffers of a snapshot; the trunk of a backbone is the backbone."""
    pair = {name.replace(".trunk.", ".", 1): value for name, value in state["pair"].items()}
    return pair | {f"objectives.{name}": value for name, value in state["objectives"].items()}


def _published_name(checkpoint: "Checkpoint") -> str:
    """Return `vit_small` for `vit_small_patch16_224`, as the methods' code names it."""
    return checkpoint.architecture.name.partition("_patch")[0]
