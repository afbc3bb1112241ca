"""Answer an evaluation with its record before the network is built, or torch is imported."""

from contextlib import suppress

from vitbench import distributed
from vitbench.engine.context import Data
from vitbench.engine.options import Reporter, RunOptions
from vitbench.engine.protocol import EvaluationProtocol
from vitbench.engine.run import Evaluation, Run
from vitbench.engine.subject import normalization_of, subject_of
from vitbench.errors import VitbenchError
from vitbench.models.asked import AskedCheckpoint
from vitbench.models.known import recall_checkpoint


def recall_evaluation(
    protocol: EvaluationProtocol,
    asked: AskedCheckpoint,
    options: RunOptions,
    reporter: Reporter,
    data: Data,
) -> Evaluation | None:
    """Return the record of the same evaluation, as `evaluate` would.

    None where there is none, or where only the network tells: then `evaluate` says what is wrong.
    The data's files are looked at, and the checkpoint's were hashed.

    Args:
        protocol: With its settings.
        asked: The checkpoint.
        options: Device and the like.
        reporter: Remarks.
        data: The data of the options, open.
    """
    known = recall_checkpoint(asked)
    if known is None or distributed.world_size() > 1:  # other machines may see other files
        return None
    normalization, origin = normalization_of(protocol, known)
    subject = subject_of(known, normalization, origin, None)
    run = Run(
        protocol, subject, options, reporter, data, None, normalization, weights=known.weights
    )
    with suppress(VitbenchError):
        found = run.recall()
        for text in known.said if found else ():
            reporter.log(text)
        return found
    return None
