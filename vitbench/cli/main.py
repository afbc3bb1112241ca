"""Finds the sub-command, imports it alone, and turns exceptions into exit codes.

0 done · 1 bug · 2 something the user can fix · 75 stopped after saving · 130 ctrl-C
"""

import os
import sys
from collections.abc import Sequence
from errno import ENOSPC
from importlib import import_module

from vitbench import __version__
from vitbench.errors import UnknownName, VitbenchError

COMMANDS = {
    "train": "train a recipe: dino, selfpatch, …",
    "resume": "go on with a run that was stopped",
    "eval": "score checkpoints with a protocol",
    "export": "write a run or checkpoint in a method's own layout",
    "score": "score a file or folder of predictions",
    "report": "compare records",
    "demo": "train, evaluate and report on built-in data, in minutes",
    "list": "what there is: protocols, checkpoints, datasets, recipes",
    "check": "sanity check: is this checkpoint what it says it is?",
    "check-plugin": "does a protocol keep the contract?",
    "results": "records of a results folder: ls, rm",
    "cache": "what is kept for reuse: ls, clear",
    "data": "pack: small copies of images as WebDataset shards",
}
EXAMPLES = (
    "vitbench train selfpatch --preset small --data synthetic --out runs/mine",
    "vitbench eval knn ckpt.pth --arch vit_small_patch16_224",
    "vitbench eval knn 'random:vit_small_patch16_224?seed=1' --data synthetic",
    "vitbench report --compare dino selfpatch --format markdown",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in {"-h", "--help", "help"}:
        print(usage())
        return 0
    if words[0] in {"-V", "--version"}:
        print(f"vitbench {__version__}")
        return 0
    try:
        if words[0] not in COMMANDS:
            raise UnknownName("command", words[0], COMMANDS, hint="vitbench --help")
        module = import_module(f"vitbench.cli.{words[0].replace('-', '_')}")
        code: int = module.run(words[1:])
        return code
    except VitbenchError as error:
        _tell(f"{type(error).__name__}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _tell("stopped; what was finished is kept, the same command goes on from there")
        return 130
    except BrokenPipeError:  # the reader of our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # no room, no right to write, a file where a folder should be
        name = error.filename2 or error.filename  # of a renaming, the name it should have
        if name is None and error.errno != ENOSPC:
            raise
        _tell(f"{type(error).__name__}: {str(name or 'disk')!r}: {error.strerror}")
        return 2


def usage() -> str:
    """Return the help of the whole program."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {about}" for name, about in COMMANDS.items())
    examples = "\n".join(f"  {example}" for example in EXAMPLES)
    return (
        "usage: vitbench COMMAND …\n\n"
        "How good are this Vision Transformer's features, really?\n\n"
        f"{commands}\n\n  `vitbench COMMAND --help` tells the rest.\n\nexamples:\n{examples}"
    )


def _tell(text: str) -> None:
    if os.environ.get("RANK", "0") == "0":
        print(text, file=sys.stderr)
