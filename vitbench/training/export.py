"""Write a run, or any checkpoint, in the layout of a method's own code."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitbench.errors import CheckpointError, UnknownName
from vitbench.models.run_folder import SNAPSHOTS
from vitbench.records import atomic
from vitbench.training.layout import Layout, Memory
from vitbench.training.recipes import layout_with, recipes

if TYPE_CHECKING:
    from torch import Tensor

    from vitbench.models.checkpoint import Checkpoint


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


def find_layout(name: str) -> Layout | None:
    """Return a layout by its name: one of ours, or the one that a recipe is offered with."""
    if name in LAYOUTS:
        return LAYOUTS[name]
    return layout_with(recipes.get(name)) if name in recipes.names() else None


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

    target = find_layout(layout)
    if target is None:
        raise UnknownName("format", layout, LAYOUTS)
    snapshot = Snapshots(Path(spec) / SNAPSHOTS, CheckpointConfig()).latest()
    checkpoint = resolve(spec)
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
