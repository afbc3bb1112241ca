"""Score a checkpoint with a protocol on data; the command line and Python both call this."""

from pathlib import Path

from vitbench import distributed
from vitbench.data.transforms import AS_IT_IS
from vitbench.engine.abilities import check_backbone, check_device, check_inputs
from vitbench.engine.context import Data, open_data
from vitbench.engine.kept_verdict import SanityCheck
from vitbench.engine.options import Reporter, RunOptions
from vitbench.engine.protocol import EvaluationProtocol
from vitbench.engine.run import Evaluation, Run
from vitbench.engine.sanity_check import inspect
from vitbench.engine.subject import normalization_of, subject_of
from vitbench.engine.training_progress import steps_trained
from vitbench.errors import CheckpointError
from vitbench.models.backbone import Backbone
from vitbench.models.checkpoint import Checkpoint, load_backbone
from vitbench.models.known import known_of, remember_checkpoint
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
    known = known_of(checkpoint, backbone)
    remember_checkpoint(checkpoint.key, known)
    normalization, origin = normalization_of(protocol, known)
    gate = _checked(checkpoint, backbone, options, reporter)
    journal = _journal(checkpoint.spec)
    training = steps_trained(journal) if journal else None
    run = Run(
        protocol,
        subject_of(known, normalization, origin, gate, training),
        options,
        reporter,
        data,
        device,
        normalization,
        backbone,
        known.weights,
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
