"""Options of a run, and the callbacks that show its progress."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from vitbench import distributed
from vitbench.data.selection import Limit
from vitbench.data.transforms import Resampling
from vitbench.settings import setting

Precision = Literal["fp32", "bf16"]
Kept = Literal["asked", "all"]
Log = Callable[[str], None]


class Progress(Protocol):
    """Shows how far a long work is."""

    def __call__(self, task: str, done: int, total: int, unit: str = "", /) -> None:
        """Show that `done` of `total` units (images, frames, …) of a task are done."""


def _show_nothing(task: str, done: int, total: int, unit: str = "") -> None:
    """Show no progress."""


def _log_nothing(text: str) -> None:
    """Log nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run; only the options whose help says so are part of the run's identity."""

    data: str = setting(
        "",
        help="data set: path of a folder, name of a folder under $VITBENCH_DATA, torchvision:NAME,"
        " hf:OWNER/NAME, or synthetic; left out: the usual one",
    )
    results: Path = setting(Path("results"), help="folder that records are written to")
    device: str = setting("auto", help="device of the forward passes: auto, cpu, cuda or cuda:N")
    precision: Precision = setting(
        "fp32", help="number format of the forward passes; part of the run's identity"
    )
    resampling: Resampling = setting(
        "exact",
        help="how images are resized: exact, each pixel as PIL's and as in published numbers, or"
        " fast, in a quarter of the time, values within 1 level of 255; part of the run's identity",
    )
    batch_size: int | None = setting(
        None,
        help="most images (of davis: frames) in one forward pass of the frozen backbone; left out:"
        " what suits the device",
        minimum=1,
    )
    store: Kept = setting(
        "asked",
        help="features that a pass leaves in the cache: those that the protocol asks for, or all"
        " that image-level protocols ask for (5 times the space, one pass for all of them)",
    )
    seed: int = setting(0, help="seed of every random draw; part of the run's identity", minimum=0)
    workers: int = setting(
        0,
        help="threads that read and decode files; 0: as many as the machine has cores for each of"
        " its processes",
        minimum=0,
    )
    limit: Limit = setting(
        None,
        help="use only the first N items of each split, or of one split by SPLIT=N (train=1000"
        " val=500); part of the run's identity",
        minimum=1,
    )
    split_list: tuple[str, ...] = setting(
        (),
        help="text file that names the items of the first split, or the classes of all splits, one"
        " a line; SPLIT=FILE for another split; imagenet-10: the classes of ImageNet-10; part of"
        " the run's identity",
    )
    skip_corrupt: int = setting(
        0, help="number of broken images that may be left out before the run is refused", minimum=0
    )
    sanity_check: bool = setting(
        True,
        help="first see whether the weights give features as trained ones do, on built-in images",
        off="start without a look at the weights; the record says so",
    )
    rerun: bool = setting(False, help="run again even if this run has a record")
    timeout_minutes: float = setting(
        distributed.TIMEOUT_MINUTES,
        help="minutes that processes wait for one another before they give up",
        minimum=0.1,
    )

    @property
    def threads(self) -> int:
        """Threads that read and decode."""
        return self.workers or distributed.cores_of_a_process()

    @property
    def computing(self) -> dict[str, Any]:
        """What of an identity is neither the protocol's nor the data's; exact needs no word."""
        fast = {} if self.resampling == "exact" else {"resampling": self.resampling}
        return {"precision": self.precision, **fast}


@dataclass(frozen=True, slots=True)
class Reporter:
    """Callbacks that show the progress and the remarks of a run."""

    progress: Progress = _show_nothing
    log: Log = _log_nothing
