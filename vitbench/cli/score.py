"""`vitbench score KIND PREDICTIONS`: score predictions that any program wrote."""

from dataclasses import dataclass
from pathlib import Path

from vitbench.cli.component_help import component_help, index
from vitbench.cli.eval import summary
from vitbench.cli.flags import parse, taken
from vitbench.cli.reporter import speaking
from vitbench.engine.describe import what_it_measures
from vitbench.engine.options import RunOptions
from vitbench.engine.presets import preset_settings
from vitbench.engine.protocol import scorers
from vitbench.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The predictions to score."""

    predictions: Path = setting(help="file or folder of the predictions")


def run(arguments: list[str]) -> int:
    """Score, print the scores, and return the exit code."""
    if not arguments or arguments[0].startswith("-"):
        print(usage())
        return 0 if arguments and arguments[0] in {"-h", "--help"} else 2
    kind = scorers.get(arguments[0])
    preset, rest = taken(arguments[1:], "--preset")
    scorer, which, options = parse(
        {f"settings of {kind.name}": kind, "predictions": Which, "the run": RunOptions},
        rest,
        prog=f"vitbench score {kind.name}",
        description=component_help(kind, "score", preset),
        defaults=preset_settings(kind, preset),
        positional=("predictions",),
    )
    from vitbench.engine.score import score

    with speaking() as reporter:
        done = score(scorer, which.predictions, options, reporter)
    print(summary(done))
    return 0


def usage() -> str:
    """Return the help of the command without a kind of predictions."""
    told = {name: what_it_measures(scorers.get(name)) for name in scorers.names()}
    return (
        "usage: vitbench score KIND PREDICTIONS [--preset NAME] [flags]\n\n"
        "Score predictions that any program wrote; no checkpoint is loaded.\n\n"
        f"kinds of predictions:\n{index(told)}\n\n"
        "`vitbench score KIND --help` says what is measured, and the flags."
    )
