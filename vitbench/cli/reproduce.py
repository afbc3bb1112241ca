"""`vitbench reproduce CHECKPOINT`: the published scores of a manifest against ours."""

from dataclasses import dataclass
from pathlib import Path

from vitbench.cli.flags import parse
from vitbench.cli.report import write_report
from vitbench.cli.study_actions import How, act, action_of, command
from vitbench.errors import SettingError
from vitbench.records import Record, read_records
from vitbench.settings import setting
from vitbench.studies.reproduction import TOLERANCE, ledger, official_scores, reproduction_of

ABOUT = """\
Measure every score that the authors of a checkpoint printed and vitbench has the protocol of.
`plan` (the default) says what is left, `run` does it, `show` prints it; --ledger writes the table
of all records of --results to --out.

examples:
  vitbench reproduce dino-vits16 run --data knn=imagenet davis=davis
  vitbench reproduce --ledger --results docs/reproduced --out docs/reproduced.md"""


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """The checkpoint and its data."""

    checkpoint: str = setting("", help="name of a manifest (`vitbench list checkpoints`)")
    data: tuple[str, ...] = setting(
        (), help="PROTOCOL=DATA for each protocol that has other than its usual data"
    )
    tolerance: float = setting(
        TOLERANCE, help="points by which a score may differ from the printed one", minimum=0
    )
    ledger: bool = setting(False, help="write the table of all records of --results")


def run(arguments: list[str]) -> int:
    """Plan, run or show a reproduction, or write the ledger."""
    action, rest = action_of(arguments, "plan")
    what, how = parse(
        {"what is reproduced": What, "how it runs": How},
        rest,
        prog="vitbench reproduce",
        description=ABOUT,
        positional=("checkpoint",),
    )
    if what.ledger:
        found = [one for one in read_records(how.results) if isinstance(one, Record)]
        text = ledger(found, official_scores(how.results), what.tolerance)
        if how.out:
            write_report(text, Path(how.out))
        else:
            print(text, end="")
        return 0
    if not what.checkpoint:
        raise SettingError(["no checkpoint is named"], hint="vitbench reproduce dino-vits16 plan")
    study = reproduction_of(what.checkpoint, what.data)
    words = command("reproduce", what.checkpoint, "run", data=what.data, results=how.results)
    return act(action, study, how, words)
