"""`vitbench study NAME|FILE.toml [plan|run|show|cards]`: a table of trainings and evaluations."""

from vitbench.cli.flags import parse, taken
from vitbench.cli.study_actions import How, act, action_of, command
from vitbench.studies.catalog import find_study, study_names

USAGE = """\
usage: vitbench study NAME|FILE.toml [plan|run|show|cards] [--scale NAME] [flags]

A study is a table: its rows are trainings and checkpoints, its columns are protocols. `plan` (the
default) says what there is and what is left, `run` does what is left, `show` prints the table with
the published values and judges the claims, `cards` writes a page on each network.

studies: {names}

examples:
  vitbench study table3 plan
  vitbench study table3 run --scale small
  vitbench study mine.toml show --format html --out mine.html

`vitbench study NAME --help` lists the flags."""


def run(arguments: list[str]) -> int:
    """Plan, run or show a study."""
    if not arguments or arguments[0].startswith("-"):
        print(USAGE.format(names=", ".join(study_names())))
        return 0 if arguments and arguments[0] in {"-h", "--help"} else 2
    name, *rest = arguments
    scale, rest = taken(rest, "--scale")
    action, rest = action_of(rest, "plan")
    (how,) = parse(
        {"how it runs": How},
        rest,
        prog=f"vitbench study {name} {action}",
        description="Plan, run or show a study; --scale small is minutes to an hour on two cores.",
    )
    study = find_study(name, scale or "full")
    words = command("study", name, "run", scale=scale, results=how.results)
    return act(action, study, how, words)
