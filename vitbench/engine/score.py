"""Score predictions with a scorer on data; torch is not imported."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from vitbench.data.transforms import AS_IT_IS
from vitbench.download import file_sha256
from vitbench.engine.context import open_data
from vitbench.engine.options import Reporter, RunOptions
from vitbench.engine.protocol import Scorer
from vitbench.engine.run import Evaluation, Run
from vitbench.errors import SettingError
from vitbench.records import Subject
from vitbench.settings import checked


def score(
    scorer: Scorer,
    predictions: Path,
    options: RunOptions,
    reporter: Reporter = Reporter(),  # noqa: B008
) -> Evaluation:
    """Score a file or folder of predictions that any program wrote.

    Raises:
        VitbenchError: What the user can fix.
    """
    checked(scorer)
    if not predictions.exists():
        raise SettingError([f"no predictions at {str(predictions)!r}"])
    reference: Path | None = getattr(scorer, "reference", None)
    if reference is not None:
        options = replace(options, data=str(reference))
    data = open_data(scorer, options, reporter, pixels=False)
    subject = Subject(kind="predictions", name=predictions.stem, sha256=_content(predictions))
    run = Run(scorer, subject, options, reporter, data, None, AS_IT_IS)
    return run.finish(lambda context: scorer.run(predictions, context))


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
