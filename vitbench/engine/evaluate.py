"""Protocol + checkpoint + data -> record; the one way in for the command line and for Python."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import torch

from vitbench import distributed
from vitbench.data.selection import selection
from vitbench.data.transforms import Normalization
from vitbench.engine.abilities import check_backbone, check_device, check_inputs
from vitbench.engine.context import Data
from vitbench.engine.default_data import data_of
from vitbench.engine.gate import Gate, inspect
from vitbench.engine.protocol import EvaluationProtocol, Scorer, Scoring
from vitbench.engine.run import Evaluation, Run, RunOptions, Voice
from vitbench.engine.training_progress import steps_trained
from vitbench.errors import CheckpointError, SettingError
from vitbench.models.backbone import Backbone
from vitbench.models.checkpoint import Checkpoint, load_backbone
from vitbench.models.download import file_sha256
from vitbench.models.identity import WeightsIdentity, identify_weights
from vitbench.models.sources import RUN_JOURNAL, RUNS
from vitbench.records import Subject
from vitbench.settings import checked

AS_IT_IS = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # no backbone, no input


def open_data(
    component: Scoring,
    options: RunOptions,
    voice: Voice = Voice(),  # noqa: B008  (frozen and silent)
    *,
    pixels: bool,
) -> Data:
    """Open the data of a run before anything else is loaded.

    Args:
        component: The protocol or scorer that reads them.
        options: Which data, how many items, how many threads.
        voice: Progress.
        pixels: Whether images are looked at; labels alone can be scored without them.

    Raises:
        VitbenchError: The data is not there, or not of its kind.
    """
    data = Data(
        name=data_of(component, options.data),
        kind=component.data,
        selection=selection(options.limit, options.split_list, component.splits),
        decoded=pixels,
        skip_corrupt=options.skip_corrupt,
        workers=options.workers,
        progress=voice.progress,
    )
    for split in component.splits:
        data.dataset(split)
    for text in data.notes:
        voice.say(text)
    return data


def evaluate(
    protocol: EvaluationProtocol,
    checkpoint: Checkpoint | None,
    options: RunOptions,
    voice: Voice = Voice(),  # noqa: B008  (frozen and silent)
    data: Data | None = None,
) -> Evaluation:
    """Score one checkpoint with one protocol.

    Args:
        protocol: With its settings.
        checkpoint: Who is scored; None scores the ground truth, where the protocol can.
        options: Data, place, device and the like.
        voice: Progress and remarks.
        data: The data of the options if they are open already, as when several checkpoints are
            scored on them; see `open_data`.

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
        data = data or open_data(protocol, options, voice, pixels=False)
        subject = Subject(kind="ground-truth", name="ground-truth", sha256="")
        run = Run(protocol, subject, options, voice, data, device, AS_IT_IS)
        return run.finish(lambda context: protocol.run(None, context))  # type: ignore[arg-type]
    data = data or open_data(protocol, options, voice, pixels=True)
    backbone = load_backbone(checkpoint, device=device)
    for text in checkpoint.said:
        voice.say(text)
    check_backbone(protocol, backbone, checkpoint.name)
    normalization, origin = _normalization(protocol, checkpoint, backbone)
    gate = distributed.from_main(inspect(checkpoint, backbone) if distributed.is_main() else None)
    assert gate is not None
    if not gate.finite:
        raise CheckpointError(
            f"{checkpoint.name}: the features are not finite.",
            expected="numbers",
            found="NaN or infinity in the features of built-in images",
            hint="the weights have diverged or overflow; take an earlier snapshot of the training",
        )
    if not gate.passed:
        voice.say(f"load gate: {gate.verdict}")
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
        voice,
        data,
        device,
        normalization,
        backbone,
        weights,
        journal,
    )
    return run.finish(lambda context: protocol.run(backbone, context))


def score(
    scorer: Scorer,
    predictions: Path,
    options: RunOptions,
    voice: Voice = Voice(),  # noqa: B008
) -> Evaluation:
    """Score a file or folder of predictions that anybody made.

    Raises:
        VitbenchError: What the user can fix.
    """
    checked(scorer)
    if not predictions.exists():
        raise SettingError([f"no predictions at {str(predictions)!r}"])
    reference: Path | None = getattr(scorer, "reference", None)
    if reference is not None:
        options = replace(options, data=str(reference))
    subject = Subject(kind="predictions", name=predictions.stem, sha256=_content(predictions))
    data = open_data(scorer, options, voice, pixels=False)
    run = Run(scorer, subject, options, voice, data, torch.device("cpu"), AS_IT_IS)
    return run.finish(lambda context: scorer.run(predictions, context))


def _journal(spec: str) -> Path | None:
    """Return the journal of the run that a checkpoint is, if it is one."""
    journals = (Path(spec).expanduser() / RUN_JOURNAL, RUNS / spec / RUN_JOURNAL)
    return next(filter(Path.is_file, journals), None)


def _normalization(
    protocol: EvaluationProtocol, checkpoint: Checkpoint, backbone: Backbone
) -> tuple[Normalization, str]:
    """An explicit flag wins, then the protocol's own, then the manifest's or the default."""
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
    gate: Gate,
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
        gate=gate.verdict,
        gate_passed=gate.passed,
    )


def _content(predictions: Path) -> str:
    """Hash a file, or all files of a folder with their names (sha256, hexadecimal).

    The name of the file or folder itself does not count, nor do files with a leading dot.
    """
    if predictions.is_file():
        return file_sha256(predictions)
    digested = hashlib.sha256()
    for path in sorted(path for path in predictions.rglob("[!.]*") if path.is_file()):
        digested.update(os.fsencode(path.relative_to(predictions)) + b"\0")
        digested.update(bytes.fromhex(file_sha256(path)))
    return digested.hexdigest()
