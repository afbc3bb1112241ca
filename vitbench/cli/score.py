"""`vitbench score KIND PREDICTIONS`: score predictions that anybody made."""

from dataclasses import dataclass
from pathlib import Path

from vitbench.cli.eval import summary
from vitbench.cli.flags import about, parse, taken
from vitbench.cli.reporter import speaking
from vitbench.engine.options import RunOptions
from vitbench.engine.presets import preset_settings
from vitbench.engine.protocol import scorers
from vitbench.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which predictions."""

    predictions: Path = setting(help="file or folder of predictions")


def run(arguments: list[str]) -> int:
    """Score, print the scores, and return the exit code."""
    if not arguments or arguments[0].startswith("-"):
        print("usage: vitbench score KIND PREDICTIONS [flags]\n")
        print(f"kinds: {', '.join(scorers.names())}")
        return 0 if arguments and arguments[0] in {"-h", "--help"} else 2
    kind = scorers.get(arguments[0])
    preset, rest = taken(arguments[1:], "--preset")
    scorer, which, options = parse(
        (kind, Which, RunOptions),
        rest,
        prog=f"vitbench score {kind.name}",
        description=about(kind),
        defaults=preset_settings(kind, preset),
        positional=("predictions",),
    )
    from vitbench.engine.score import score

    with speaking() as reporter:
        done = score(scorer, which.predictions, options, reporter)
    print(summary(done))
    return 0
