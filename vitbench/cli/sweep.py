"""`vitbench sweep CHECKPOINT… --on PROTOCOL…`: many checkpoints by many protocols."""

from dataclasses import dataclass

from vitbench.cli.flags import parse
from vitbench.cli.study_actions import How, act, action_of, command
from vitbench.errors import SettingError
from vitbench.settings import setting
from vitbench.studies.catalog import ENDING, find_study
from vitbench.studies.matrix import Study
from vitbench.studies.sweep import matrix_of

ABOUT = """\
Score many checkpoints with many protocols: each network is loaded once, what has a record is not
done again. `plan` says what is left, `run` (the default) does it, `show` prints the table, `cards`
writes a page on each checkpoint.

examples:
  vitbench sweep dino-vits16 a.pth@arch=vit_tiny_patch16_224 --on knn davis@dino-2021
  vitbench sweep plan dino-vits16 --suite frozen
  vitbench sweep a.pth b.pth --on knn retrieval@classes --data imagenette160 --limit 500
  vitbench sweep mine.toml run --jobs 2
  vitbench sweep mine.toml cards --out cards"""


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """The checkpoints, the protocols and the data of a sweep."""

    checkpoints: tuple[str, ...] = setting(
        (),
        help="checkpoints as `vitbench eval` takes them, facts about each behind it"
        " (a.pth@arch=vit_tiny_patch16_224); or one TOML file with rows and columns",
    )
    on: tuple[str, ...] = setting((), help="protocols: NAME, or NAME@PRESET")
    suite: str = setting("", help="study whose columns are the protocols, such as frozen")
    data: tuple[str, ...] = setting(
        (),
        help="data set of all protocols, or PROTOCOL=DATA for one; left out: the usual ones",
    )
    limit: int | None = setting(None, help="use only the first N items of each split", minimum=1)
    seeds: tuple[int, ...] = setting((0,), help="seeds of every random draw", minimum=0)
    skip: tuple[str, ...] = setting(
        (), help="shell patterns of cells to leave out: CHECKPOINT/PROTOCOL"
    )
    scale: str = setting("full", help="scale of a TOML file or of --suite")


def run(arguments: list[str]) -> int:
    """Plan, run or show a sweep."""
    action, rest = action_of(arguments, "run")
    what, how = parse(
        {"the sweep": What, "how it runs": How},
        rest,
        prog="vitbench sweep",
        description=ABOUT,
        positional=("checkpoints",),
    )
    return act(action, _study(what), how, _words(what, how))


def _study(what: What) -> Study:
    file = next((word for word in what.checkpoints if word.endswith(ENDING)), None)
    if file is not None:
        if len(what.checkpoints) > 1 or what.on or what.suite:
            raise SettingError([f"{file!r} says what to sweep: no checkpoints or --on beside it"])
        return find_study(file, what.scale)
    if not what.checkpoints or not (what.on or what.suite):
        raise SettingError(
            ["a sweep needs checkpoints, and protocols by --on or --suite"],
            hint="vitbench sweep dino-vits16 --on knn davis@dino-2021",
        )
    suite = find_study(what.suite, what.scale) if what.suite else None
    return matrix_of(
        what.checkpoints,
        on=what.on,
        suite=suite.columns if suite else (),
        data=what.data,
        limit=what.limit,
        seeds=what.seeds,
        skip=what.skip,
    )


def _words(what: What, how: How) -> list[str]:
    """Return the words of the command that runs the sweep."""
    return command(
        *("sweep", "run", *what.checkpoints),
        on=what.on,
        suite=what.suite,
        data=what.data,
        limit=what.limit,
        seeds=what.seeds,
        skip=what.skip,
        scale=what.scale,
        results=how.results,
    )
