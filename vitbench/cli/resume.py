"""`vitbench resume RUN`: continue a training run with the command that started it."""

import json
from pathlib import Path

from vitbench.cli import train
from vitbench.cli.flags import taken
from vitbench.errors import TrainingError
from vitbench.models.run_folder import RUN_DOCUMENT

USAGE = """usage: vitbench resume RUN [flags of vitbench train]

Continue a training run from its last snapshot, with the command that started it. Flags that are
given here replace those of that command.

example:
  vitbench resume runs/mine --processes 2"""


def run(arguments: list[str]) -> int:
    """Train a run to its end; flags after its folder replace those of the original command."""
    if not arguments or arguments[0].startswith("-"):
        print(USAGE)
        return 0 if arguments and arguments[0] in {"-h", "--help"} else 2
    folder = Path(arguments[0])
    document = folder / RUN_DOCUMENT
    try:
        command = [str(word) for word in json.loads(document.read_text())["command"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TrainingError(
            f"{str(folder)!r} is no run folder.",
            expected=f"{RUN_DOCUMENT} with the command that started it",
            found=str(error),
            hint="vitbench train RECIPE --out RUN starts one",
        ) from error
    _, words = taken(command, "--out")
    return train.run([*words, *arguments[1:], "--out", str(folder)])
