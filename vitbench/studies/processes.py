"""Processes that begin with torch imported: a server imports it once, and forks for each."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
A = TypeVar("A")
Main = Callable[[list[str]], int]
PRELOADED = ["vitbench.engine.evaluate", "vitbench.training.train"]  # they compute nothing yet


def start(main: Main, words: Sequence[str], log: Path, cores: Sequence[int] = ()) -> BaseProcess:
    """Start a command in a process of its own.

    Args:
        main: Runs a command and gives its exit code.
        words: The command.
        log: The file that its words are added to.
        cores: The cores that it is kept to; none: any.
    """
    process = _context().Process(target=_child, args=(main, list(words), str(log), tuple(cores)))
    process.start()
    return process


def call(function: Callable[[A], T], argument: A) -> T:
    """Return what a function gives that is called in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=_context()) as pool:
        return pool.submit(function, argument).result()


def _context() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _child(main: Main, words: list[str], log: str, cores: tuple[int, ...]) -> None:
    """Run one command; a ctrl-C in the terminal is for the process that started it."""
    os.setsid()
    stream = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for number in (1, 2):
        os.dup2(stream, number)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if cores:
        import torch

        os.sched_setaffinity(0, cores)
        torch.set_num_threads(len(cores))
    sys.exit(main(words))
