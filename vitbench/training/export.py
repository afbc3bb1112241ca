"""Write a run, or any checkpoint, in the layout of a method's own code."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitbench.errors import CheckpointError, UnknownName, listed
from vitbench.models.checkpoint import Checkpoint, resolve
from vitbench.records import atomic
from vitbench.training.fit import SNAPSHOTS
from vitbench.training.snapshot import Saving, Snapshots, load_snapshot

CPU = torch.device("cpu")
State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A method's training file: what our names are called there."""

    about: str
    names: tuple[tuple[str, str], ...]  # front of our name -> front of theirs; the first that fits
    memory: tuple[tuple[str, str, int], ...]  # our buffer -> their name, number of dimensions

    def state(self, ours: State, *, subject: str) -> dict[str, Tensor]:
        """Return weights under the method's names.

        Raises:
            CheckpointError: Some of our weights have no place in this layout.
        """
        found: dict[str, Tensor] = {}
        homeless = []
        for name, value in ours.items():
            rule = next((rule for rule in self.names if name.startswith(rule[0])), None)
            if rule is None:
                homeless.append(name)
            else:
                found[rule[1] + name.removeprefix(rule[0])] = value.contiguous()
        if homeless:
            raise CheckpointError(
                f"{subject}: some weights have no place in {self.about}.",
                expected=f"names that begin with {', '.join(rule[0] for rule in self.names)}",
                found=listed(homeless),
                hint="vitbench export --help lists the formats",
            )
        return found


LAYOUTS = {
    "dino": Layout(
        about="the training file of facebookresearch/dino (7c446df)",
        names=(("backbone.", "backbone."), ("heads.dino.", "head.")),
        memory=(("dino.centre.value", "center", 2),),
    ),
    "selfpatch": Layout(
        about="the training file of alinlab/SelfPatch (81aef14)",
        names=(
            ("backbone.ca_head.", "ca_head."),
            ("backbone.", "backbone."),
            ("heads.dino.", "c_head."),
            ("heads.patch.", "p_head."),
        ),
        memory=(("dino.centre.value", "center", 3), ("patch.centre.value", "patch_center", 2)),
    ),
}


def export(spec: str, layout: str, path: Path) -> Path:
    """Write a checkpoint in a method's layout.

    A run's folder gives student, teacher, centres and epoch; any other checkpoint gives a teacher
    with its backbone alone. The state of the optimizer stays behind: its parameters have another
    order there.

    Args:
        spec: A run's folder, or whatever `resolve` knows.
        layout: Name of the layout.
        path: The file to write.

    Raises:
        UnknownName: No such layout.
        CheckpointError: The weights do not fit it.
    """
    if layout not in LAYOUTS:
        raise UnknownName("format", layout, LAYOUTS)
    snapshot = Snapshots(Path(spec) / SNAPSHOTS, Saving()).latest()
    checkpoint = resolve(spec)
    target = LAYOUTS[layout]
    if snapshot is None:
        ours = {f"backbone.{name}": value for name, value in checkpoint.state.items()}
        content: dict[str, Any] = {"teacher": target.state(ours, subject=spec)}
    else:
        content = _training_file(target, load_snapshot(snapshot, CPU), spec)
    content["args"] = Namespace(
        arch=_published_name(checkpoint), patch_size=checkpoint.architecture.patch_size
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        torch.save(content, temporary)
    return path


def _training_file(layout: Layout, state: Mapping[str, Any], subject: str) -> dict[str, Any]:
    sides: dict[str, dict[str, Tensor]] = {"student": {}, "teacher": {}}
    for name, value in state["pair"].items():
        side, _, rest = name.partition(".")
        sides[side][rest.replace("backbone.trunk.", "backbone.", 1)] = value
    student = layout.state(sides["student"], subject=subject)
    memory = {
        theirs: state["objectives"][ours].view(*[1] * (dimensions - 1), -1)
        for ours, theirs, dimensions in layout.memory
    }
    return {
        "student": {f"module.{name}": value for name, value in student.items()},
        "teacher": layout.state(sides["teacher"], subject=subject),
        "epoch": state["epoch"],
        "dino_loss": memory,
    }


def _published_name(checkpoint: Checkpoint) -> str:
    """Return `vit_small` for `vit_small_patch16_224`, as the methods' code names it."""
    return checkpoint.architecture.name.partition("_patch")[0]
