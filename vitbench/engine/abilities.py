"""Checks before any work that a protocol gets what it needs: checkpoint, abilities, GPU."""

from collections.abc import Callable

import torch

from vitbench.engine.protocol import EvaluationProtocol
from vitbench.errors import CheckpointError, MissingAbility
from vitbench.models.backbone import Aggregates, Backbone
from vitbench.models.checkpoint import Checkpoint


def check_inputs(protocol: EvaluationProtocol, checkpoint: Checkpoint | None) -> None:
    """Refuse a subject that `evaluate` can't score; the error says what to pass instead.

    Raises:
        CheckpointError: It is no checkpoint.
        MissingAbility: The protocol scores a checkpoint, and there is none.
    """
    if checkpoint is None and "backbone" in protocol.needs:
        raise MissingAbility(
            f"{protocol.name} scores a checkpoint, and none was given.",
            hint=f"vitbench eval {protocol.name} CHECKPOINT",
        )
    if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
        raise _no_checkpoint(checkpoint)


def check_device(protocol: EvaluationProtocol, device: torch.device) -> None:
    """Refuse a device that the protocol can't run on.

    Raises:
        MissingAbility: It needs a GPU, and the device is none.
    """
    if "gpu" in protocol.needs and device.type == "cpu":
        raise MissingAbility(
            f"{protocol.name} needs a GPU.",
            found=f"device {device}",
            hint="--device cuda, on a machine that has one",
        )


def check_backbone(protocol: EvaluationProtocol, backbone: Backbone, name: str) -> None:
    """Refuse a backbone that lacks what the protocol asks for, with its settings.

    Raises:
        MissingAbility: Names what is missing.
        SettingError: Names the setting that the backbone does not allow.
    """
    if "aggregate" in protocol.needs and not isinstance(backbone, Aggregates):
        raise MissingAbility(
            f"{protocol.name} needs a backbone that aggregates patches, as SelfPatch's does.",
            found=f"{name} ({backbone.info.arch}) does not",
        )
    check: Callable[[Backbone], None] | None = getattr(protocol, "check", None)
    if check is not None:
        check(backbone)


def _no_checkpoint(given: object) -> CheckpointError:
    return CheckpointError(
        "evaluate() scores a checkpoint or a network, and was given something else.",
        expected="the name or path of a checkpoint, a Checkpoint, or a torch.nn.Module",
        found=type(given).__name__,
        hint="torch.save(state, 'ckpt.pth'), then vitbench.evaluate(…, 'ckpt.pth', arch=NAME)",
    )
