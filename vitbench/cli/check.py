"""`vitbench check CHECKPOINT…`: the sanity check; exit code 2 if a checkpoint does not pass."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitbench import distributed
from vitbench.cli.checkpoints import CHECKPOINT_FLAGS, Which, asked_for, resolve_one
from vitbench.cli.flags import parse
from vitbench.engine.options import Precision, Reporter
from vitbench.errors import SettingError, VitbenchError
from vitbench.settings import setting

if TYPE_CHECKING:
    from vitbench.engine.kept_verdict import SanityCheck
    from vitbench.models.known import KnownCheckpoint

PRECISION: Precision = "fp32"
ABOUT = """\
Load each checkpoint, say what was found in it, and compare its features of a few built-in images
with what features of trained weights look like. Exit code 2 if one does not pass.

examples:
  vitbench check dino-vits16
  vitbench check ckpt.pth --arch vit_small_patch16_224"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The device that the checkpoints run on."""

    device: str = setting("auto", help="device of the forward passes: auto, cpu, cuda or cuda:N")


def run(arguments: list[str]) -> int:
    """Check every checkpoint and print the results."""
    which, where = parse(
        {CHECKPOINT_FLAGS: Which, "the run": Where},
        arguments,
        prog="vitbench check",
        description=ABOUT,
        positional=("checkpoints",),
    )
    if not which.checkpoints:
        raise SettingError(["no checkpoint is named"], hint="vitbench check CHECKPOINT")
    code = 0
    for spec in which.checkpoints:
        try:
            passed = _one(spec, which, where)
        except VitbenchError as error:
            print(f"{spec}\n  FAIL  {type(error).__name__}: {error}")
            passed = False
        code = code if passed else 2
    return code


def _one(spec: str, which: Which, where: Where) -> bool:
    known, gate = _recalled(spec, which) or _looked_at(spec, which, where)
    print(known.name)
    for text in known.said:
        print(f"        {text}")
    for check in gate.checks:
        print(f"  {'ok  ' if check.passed else 'FAIL'}  {check.text}")
    print(f"  {'passed' if gate.passed else 'did not pass'}")
    return gate.passed


def _recalled(spec: str, which: Which) -> "tuple[KnownCheckpoint, SanityCheck] | None":
    """Return what an earlier check of the same files found; imports no torch."""
    from vitbench.engine.kept_verdict import kept_verdict
    from vitbench.models.known import recall_checkpoint

    asked = asked_for(spec, which)
    known = recall_checkpoint(asked) if asked else None
    gate = kept_verdict(known, PRECISION) if known else None
    return (known, gate) if known and gate else None


def _looked_at(spec: str, which: Which, where: Where) -> "tuple[KnownCheckpoint, SanityCheck]":
    from vitbench.engine.sanity_check import inspect
    from vitbench.models.checkpoint import load_backbone
    from vitbench.models.known import known_of, remember_checkpoint

    device = distributed.find_device(where.device)
    checkpoint = resolve_one(spec, which, Reporter(), asked_for(spec, which))
    backbone = load_backbone(checkpoint, device=device)
    known = known_of(checkpoint, backbone)
    remember_checkpoint(checkpoint.key, known)
    return known, inspect(checkpoint, backbone, precision=PRECISION)
