"""Imports the sub-command that was typed, runs it, and turns exceptions into exit codes.

0 done · 1 bug · 2 something the user can fix · 75 stopped by a signal, finished work is kept ·
130 ctrl-C
"""

import os
import sys
from collections.abc import Sequence
from errno import ENOSPC
from importlib import import_module

from vitbench import __version__
from vitbench.errors import (
    INTERRUPTED,
    STOPPED_AFTER_SAVING,
    Terminated,
    UnknownName,
    VitbenchError,
)
from vitbench.stop_signals import raising_terminated
from vitbench.torchrun import leave_exit_code, loses_exit_codes

COMMANDS = {
    "eval": "score checkpoints with a protocol: knn, linear-probe, davis, …",
    "score": "score predictions that any program wrote",
    "report": "compare the scores of a results folder",
    "train": "train a backbone without labels: dino, selfpatch, …",
    "study": "fill a whole table: trainings, evaluations, published values, claims",
    "sweep": "score many checkpoints with many protocols",
    "reproduce": "measure every score that the authors of a checkpoint printed",
    "resume": "continue a training run that was stopped",
    "export": "write a checkpoint in the file layout of another code base",
    "demo": "train, evaluate and report on built-in data in about 3 minutes",
    "list": "list protocols, checkpoints, architectures, datasets, recipes, …",
    "check": "sanity check of a checkpoint: what is in it, and are its features plausible?",
    "check-plugin": "check that a plug-in keeps its contract",
    "show": "look at one item: of a dataset with its truth, of a run with what it predicted",
    "results": "list or remove the records of a results folder",
    "cache": "list or remove cached features, downloads and other files kept to save time",
    "data": "fetch and check published data sets; write small copies of images as shards",
}
EXAMPLES = (
    "vitbench eval knn dino-vits16 --data imagenet",
    "vitbench eval knn ckpt.pth --arch vit_small_patch16_224 --data path/to/images",
    "vitbench eval knn 'random:vit_small_patch16_224?seed=1' --data synthetic",
    "vitbench report --compare dino selfpatch",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    code = leave_exit_code(_interrupted(list(sys.argv[1:] if arguments is None else arguments)))
    if code == STOPPED_AFTER_SAVING and loses_exit_codes():
        _tell(f"torchrun turns exit code {code} into 1; python -m vitbench.torchrun passes it on")
    return code


def _interrupted(words: list[str]) -> int:
    """Run a command; it may be stopped anywhere, since all files are written whole or not."""
    try:
        with raising_terminated():
            return _run(words)
    except KeyboardInterrupt as error:
        how, code = (
            (str(error), error.exit_code)
            if isinstance(error, Terminated)
            else ("stopped", INTERRUPTED)
        )
        _tell(f"{how}; what was finished is kept, the same command goes on from there")
        return code


def _run(words: list[str]) -> int:
    if not words or words[0] in {"-h", "--help", "help"}:
        print(usage())
        return 0
    if words[0] in {"-V", "--version"}:
        print(f"vitbench {__version__}")
        return 0
    wait_without_spinning()
    try:
        if words[0] not in COMMANDS:
            raise UnknownName("command", words[0], COMMANDS, hint="vitbench --help")
        module = import_module(f"vitbench.cli.{words[0].replace('-', '_')}")
        code: int = module.run(words[1:])
        return code
    except VitbenchError as error:
        _tell(f"{type(error).__name__}: {error}")
        return error.exit_code
    except BrokenPipeError:  # the reader of our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # no room, no right to write, a file where a folder should be
        name = error.filename2 or error.filename  # of a renaming, the name it should have
        if name is None and error.errno != ENOSPC:
            raise
        _tell(f"{type(error).__name__}: {str(name or 'disk')!r}: {error.strerror}")
        return 2


def wait_without_spinning() -> None:
    """Let the threads of a computation sleep where they wait for each other, unless told otherwise.

    By default they spin at each of the thousands of barriers of a step: beside another busy process
    most of them then spin for one that has no core. Read when torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def usage() -> str:
    """Return the help of the whole program."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {about}" for name, about in COMMANDS.items())
    examples = "\n".join(f"  {example}" for example in EXAMPLES)
    return (
        "usage: vitbench COMMAND …\n\n"
        "How good are this Vision Transformer's features, really?\n\n"
        f"commands:\n{commands}\n\nexamples:\n{examples}\n\n"
        "`vitbench COMMAND --help` says what a command does and lists its flags."
    )


def _tell(text: str) -> None:
    if os.environ.get("RANK", "0") == "0":
        print(text, file=sys.stderr)
