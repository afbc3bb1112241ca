"""`vitbench train RECIPE`: train into a run folder; the same command continues a stopped run."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitbench import distributed
from vitbench.cli.flags import parse, taken
from vitbench.cli.recipe_flags import as_flags, from_flags
from vitbench.cli.train_help import recipe_help, usage
from vitbench.data.loading import LoaderConfig
from vitbench.engine.provenance import environment
from vitbench.errors import SettingError, Stopped
from vitbench.settings import checked, plain, setting
from vitbench.torchrun import torchrun
from vitbench.training.metric_log import Row
from vitbench.training.options import CheckpointConfig, ComputeConfig, Inputs, LogConfig, Options
from vitbench.training.presets import preset_for, presets_of, with_preset
from vitbench.training.recipe import Recipe
from vitbench.training.recipes import recipes

ALLOW = "--allow-changes"
SILENT = {"step", "of", "epoch", "weight_decay", "teacher_momentum", "skipped", "corrupt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Folder, device, processes and length of a run."""

    out: Path | None = setting(None, help="folder of the run; left out: runs/RECIPE-DATA-HASH")
    device: str = setting("auto", help="device that trains: auto, cpu, cuda or cuda:N")
    processes: int = setting(
        1,
        help="processes that train together on this machine; torchrun is another way to start them",
        minimum=1,
    )
    timeout_minutes: float = setting(
        distributed.TIMEOUT_MINUTES,
        help="minutes that processes wait for one another before they give up",
        minimum=0.1,
    )
    steps: int | None = setting(
        None,
        help="number of steps after which the run stops; left out: all of its epochs",
        minimum=1,
    )
    allow_changes: bool = setting(
        False,
        help="continue from a snapshot even if settings or data differ from those of its start",
    )


def run(arguments: list[str]) -> int:
    """Train and print where the checkpoint is."""
    if not arguments or arguments[0].startswith("-"):
        print(usage())
        return 0 if arguments and arguments[0] in {"-h", "--help"} else 2
    recipe = recipes.get(arguments[0])()
    description = recipe_help(recipe)
    recipe, about, words = with_chosen_preset(recipe, arguments[1:])
    _, rest = taken(words, "--preset")
    flags, where, inputs, loading, computing, saving, watching = parse(
        {
            f"recipe {recipe.name}": as_flags(recipe),
            "the run": Where,
            "data": Inputs,
            "reading images": LoaderConfig,
            "computation": ComputeConfig,
            "snapshots": CheckpointConfig,
            "log": LogConfig,
        },
        rest,
        prog=f"vitbench train {arguments[0]}",
        description=description,
    )
    recipe = from_flags(recipe, flags)
    options = Options(
        inputs=inputs, loading=loading, computing=computing, saving=saving, watching=watching
    )
    checked(where)
    if where.processes > 1 and "WORLD_SIZE" not in os.environ:
        if recipe.batch_size % where.processes:  # before torchrun buries the message
            text = f"expected a multiple of {where.processes} processes"
            raise SettingError([f"--batch-size is {recipe.batch_size}, {text}"])
        start = ["--standalone", "--nproc-per-node", str(where.processes)]
        return torchrun([*start, "-m", "vitbench", "train", *arguments])
    from vitbench.training.train import train  # imports torch, which help does without

    with distributed.process_group(where.timeout_minutes), _watching(recipe.name) as callback:
        device = distributed.find_device(where.device)
        # a change is allowed once, not by every `vitbench resume` that comes after
        command = [arguments[0], *(word for word in words if word != ALLOW)]
        note = {"command": command, "environment": plain(environment(device, "training"))}
        try:
            path = train(
                recipe,
                where.out,
                options,
                device=device,
                steps=where.steps,
                allow_changes=where.allow_changes,
                note=note,
                about=about,
                log=_log,
                callback=callback,
            )
        except Stopped as stopped:
            if distributed.is_main():
                print(stopped, file=sys.stderr)
            return stopped.exit_code
        if distributed.is_main():
            print(f"{path}\n  vitbench eval knn {path.parent}")
    return 0


def with_chosen_preset(recipe: Recipe, words: Sequence[str]) -> tuple[Recipe, str, list[str]]:
    """Return the recipe with a preset: the preset that is named, else the one named as the data.

    Returns:
        The recipe, a sentence on the choice, and the words with the preset among them.
    """
    named, rest = taken(words, "--preset")
    data, _ = taken(rest, "--data")
    preset = named or preset_for(recipe, data or "")
    others = ", ".join(name for name in presets_of(recipe) if name != preset)
    if preset is None:
        return recipe, f"{recipe.name}, no preset: its code's defaults (--preset: {others})", rest
    chosen = with_preset(recipe, preset)
    if named:
        return chosen, f"{recipe.name}, preset {preset}", list(words)
    why = f"because the data is {preset} (--preset NAME takes another: {others})"
    return chosen, f"{recipe.name}, preset {preset} {why}", ["--preset", preset, *rest]


def _log(text: str) -> None:
    if distributed.is_main():
        print(text, file=sys.stderr, flush=True)


@contextmanager
def _watching(name: str) -> Iterator[Any]:
    """Give a callback that shows rows of the metric log: a live line in a terminal, else lines."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not distributed.is_main():
        yield lambda _: None
        return
    if not console.is_terminal:
        yield lambda row: print(_line_of_log(name, row), file=sys.stderr, flush=True)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bars:
        bar = bars.add_task(name)

        def show(row: Row) -> None:
            bars.update(
                bar, completed=row["step"], total=row["of"], description=f"{name}  {_line(row)}"
            )

        yield show


def _line(row: Row) -> str:
    """Return loss, loss terms and speed of one row of the metric log as text."""
    told = {name: value for name, value in row.items() if name not in SILENT}
    return "  ".join(
        f"{name} {value:.4g}" if isinstance(value, int | float) else f"{name} {', '.join(value)}"
        for name, value in told.items()
    )


def _line_of_log(name: str, row: Row) -> str:
    return f"{name} {row['step']}/{row['of']}  {_line(row)}"
