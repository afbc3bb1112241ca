"""What a record says of the checkpoint that it scores. Imports no torch."""

from vitbench.data.transforms import Normalization
from vitbench.engine.kept_verdict import NOT_RUN, SanityCheck
from vitbench.engine.protocol import EvaluationProtocol
from vitbench.models.known import KnownCheckpoint
from vitbench.records import Subject


def normalization_of(
    protocol: EvaluationProtocol, known: KnownCheckpoint
) -> tuple[Normalization, str]:
    """Return the input normalization and who says it: flag, then protocol, then checkpoint."""
    fixed: Normalization | None = getattr(protocol, "normalization", None)
    if fixed is not None and known.normalization_from != "flag":
        return fixed, "preset"
    return Normalization(known.mean, known.std), known.normalization_from


def subject_of(
    known: KnownCheckpoint,
    used: Normalization,
    origin: str,
    gate: SanityCheck | None,
    training: tuple[int, int] | None = None,
) -> Subject:
    """Describe a checkpoint.

    Args:
        known: What was found in its files.
        used: The input normalization of the run.
        origin: Who says it.
        gate: The verdict of the sanity check; None where it was switched off.
        training: Steps done and planned of the training that it comes from.
    """
    return Subject(
        kind="checkpoint",
        name=known.name,
        sha256=known.sha256,
        method=known.method,
        arch=known.arch,
        network=known.network,
        file_sha256=known.file_sha256,
        position_rule=known.position_rule,
        mean=used.mean,
        std=used.std,
        normalization_from=origin,
        gate=gate.verdict if gate else NOT_RUN,
        training=training,
        gate_passed=gate.passed if gate else None,
    )
