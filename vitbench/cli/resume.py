"""`vitbench resume RUN`: go on with a run by the command that started it."""

import json
from pathlib import Path

from vitbench.cli import train
from vitbench.cli.flags import taken
from vitbench.errors import TrainingError
from vitbench.models.run_folder import RUN_DOCUMENT


def run(arguments: list[str]) -> int:
    """Train a run to its end; flags behind its folder take the place of those of its start."""
    if not arguments or arguments[0].startswith("-"):
        print("usage: vitbench resume RUN [flags of vitbench train]")
        return 0 if arguments and arguments[0] in {"-h", "--help"} else 2
    folder = Path(arguments[0])
    document = folder / RUN_DOCUMENT
    try:
        command = [str(word) for word in json.loads(document.read_text())["command"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{str(folder)!r} is no run folder.",
            expected=f"{RUN_DOCUMENT} with the command that started it",
            found=str(error),
            hint="vitbench train RECIPE --out RUN starts one",
        ) from error
    _, words = taken(command, "--out")
    return train.run([*words, *arguments[1:], "--out", str(folder)])
