"""What a protocol needs is asked for before any work: a checkpoint, a backbone's skill, a GPU."""

from typing import Any

import torch

from vitbench.engine.protocol import EvaluationProtocol
from vitbench.errors import CheckpointError, MissingAbility, SettingError
from vitbench.models.backbone import Aggregates, Backbone
from vitbench.models.checkpoint import Checkpoint


def check_inputs(protocol: EvaluationProtocol, checkpoint: Checkpoint | None) -> None:
    """Refuse what `evaluate` can't score, in words that say what to pass.

    Raises:
        SettingError: The protocol is a name or a class, not a protocol with its settings.
        CheckpointError: The checkpoint is a name, a network, or something else.
        MissingAbility: The protocol scores a checkpoint, and there is none.
    """
    given: Any = protocol
    if isinstance(given, str | type):
        name = given if isinstance(given, str) else given.__name__
        call = f"api.from_preset(api.protocols.get({given!r}))"
        raise SettingError(
            [f"{name!r} is no protocol with its settings"],
            hint=call if isinstance(given, str) else f"{name}() stands for its defaults",
        )
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
    """Refuse a backbone that lacks what the protocol asks for.

    Raises:
        MissingAbility: Names what is missing.
    """
    if "aggregate" in protocol.needs and not isinstance(backbone, Aggregates):
        raise MissingAbility(
            f"{protocol.name} needs a backbone that aggregates patches, as SelfPatch's does.",
            found=f"{name} ({backbone.info.arch}) does not",
        )


def _no_checkpoint(given: object) -> CheckpointError:
    kind = type(given).__name__
    hint = "api.resolve('ckpt.pth', arch='vit_small_patch16_224')"
    if isinstance(given, torch.nn.Module):
        hint = f"torch.save(network.state_dict(), 'ckpt.pth'), then {hint}"
    elif isinstance(given, str):
        hint = f"api.resolve({given!r})"
    return CheckpointError(
        f"evaluate() scores a checkpoint, and was given {given!r}."
        if isinstance(given, str)
        else f"evaluate() scores a checkpoint, and was given an object of the class {kind}.",
        expected="what api.resolve() returns",
        found=kind,
        hint=hint,
    )
