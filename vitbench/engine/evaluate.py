"""Score a checkpoint with a protocol on data; the command line and Python both call this."""

from dataclasses import replace
from pathlib import Path

from vitbench import distributed
from vitbench.data.transforms import AS_IT_IS, Normalization
from vitbench.engine.abilities import check_backbone, check_device, check_inputs
from vitbench.engine.context import Data, open_data
from vitbench.engine.options import Reporter, RunOptions
from vitbench.engine.protocol import EvaluationProtocol
from vitbench.engine.run import Evaluation, Run
from vitbench.engine.sanity_check import NOT_RUN, SanityCheck, inspect
from vitbench.engine.training_progress import steps_trained
from vitbench.errors import CheckpointError
from vitbench.models.backbone import Backbone
from vitbench.models.checkpoint import Checkpoint, load_backbone
from vitbench.models.identity import WeightsIdentity, identify_weights
from vitbench.models.run_folder import RUN_JOURNAL, RUNS
from vitbench.records import Subject
from vitbench.settings import checked


def evaluate(
    protocol: EvaluationProtocol,
    checkpoint: Checkpoint | None,
    options: RunOptions,
    reporter: Reporter = Reporter(),  # noqa: B008  (frozen and silent)
    data: Data | None = None,
    backbone: Backbone | None = None,
) -> Evaluation:
    """Score one checkpoint with one protocol.

    Args:
        protocol: With its settings.
        checkpoint: Who is scored; None scores the ground truth, where the protocol can.
        options: Data, place, device and the like.
        reporter: Progress and remarks.
        data: The data of the options if they are open already, as when several checkpoints are
            scored on them; see `open_data`.
        backbone: The checkpoint's network if it is loaded already, as when several protocols score
            it; on the device of the options.

    Returns:
        The record and where it lies. With several processes every one returns the same.

    Raises:
        VitbenchError: What the user can fix. Once data and checkpoint are loaded, a record tells
            of it.
    """
    check_inputs(protocol, checkpoint)
    checked(protocol)
    device = distributed.find_device(options.device)
    check_device(protocol, device)
    if checkpoint is None:
        data = data or open_data(protocol, options, reporter, pixels=False)
        subject = Subject(kind="ground-truth", name="ground-truth", sha256="")
        run = Run(protocol, subject, options, reporter, data, device, AS_IT_IS)
        return run.finish(lambda context: protocol.run(None, context))  # type: ignore[arg-type]
    data = data or open_data(protocol, options, reporter, pixels=True)
    backbone = backbone or load_backbone(checkpoint, device=device)
    for text in checkpoint.said:
        reporter.log(text)
    check_backbone(protocol, backbone, checkpoint.name)
    normalization, origin = _normalization(protocol, checkpoint, backbone)
    gate = _checked(checkpoint, backbone, options, reporter)
    weights = identify_weights(backbone, checkpoint.sha256)
    journal = _journal(checkpoint.spec)
    subject = replace(
        _subject(checkpoint, backbone, weights, normalization, origin, gate),
        training=steps_trained(journal) if journal else None,
    )
    run = Run(
        protocol,
        subject,
        options,
        reporter,
        data,
        device,
        normalization,
        backbone,
        weights,
        journal,
    )
    return run.finish(lambda context: protocol.run(backbone, context))


def _checked(
    checkpoint: Checkpoint, backbone: Backbone, options: RunOptions, reporter: Reporter
) -> SanityCheck | None:
    """Run the sanity check, unless it is switched off; features must be finite."""
    if not options.sanity_check:
        return None
    gate = distributed.compute_on_main(
        lambda: inspect(checkpoint, backbone, reporter.log, precision=options.precision)
    )
    if not gate.finite:
        raise CheckpointError(
            f"{checkpoint.name}: the features are not finite.",
            expected="numbers",
            found="NaN or infinity in the features of built-in images",
            hint="the weights have diverged or overflow; take an earlier snapshot of the training",
        )
    if not gate.passed:
        reporter.log(f"sanity check: {gate.verdict}")
    return gate


def _journal(spec: str) -> Path | None:
    """Return the metric log of the training run, if the checkpoint is the folder of one."""
    journals = (Path(spec).expanduser() / RUN_JOURNAL, RUNS / spec / RUN_JOURNAL)
    return next(filter(Path.is_file, journals), None)


def _normalization(
    protocol: EvaluationProtocol, checkpoint: Checkpoint, backbone: Backbone
) -> tuple[Normalization, str]:
    """Return the input normalization and who says it: flag, then protocol, then checkpoint."""
    fixed: Normalization | None = getattr(protocol, "normalization", None)
    if fixed is not None and checkpoint.normalization_from != "flag":
        return fixed, "preset"
    return Normalization(backbone.info.mean, backbone.info.std), checkpoint.normalization_from


def _subject(
    checkpoint: Checkpoint,
    backbone: Backbone,
    weights: WeightsIdentity,
    used: Normalization,
    origin: str,
    gate: SanityCheck | None,
) -> Subject:
    return Subject(
        kind="checkpoint",
        name=checkpoint.name,
        sha256=checkpoint.sha256,
        method=checkpoint.method,
        arch=backbone.info.arch,
        network=weights.facts,
        file_sha256=checkpoint.file_sha256,
        position_rule=backbone.info.position_rule,
        mean=used.mean,
        std=used.std,
        normalization_from=origin,
        gate=gate.verdict if gate else NOT_RUN,
        gate_passed=gate.passed if gate else None,
    )
