"""How a run is done and how it tells of it: settings and callbacks, known before any work."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vitbench import distributed
from vitbench.data.selection import Limit
from vitbench.settings import setting

Precision = Literal["fp32", "bf16"]
Progress = Callable[[str, int, int], None]
Log = Callable[[str], None]


def _silent(*_: Any) -> None:
    """Log nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run; only what is told to enter the identity can move a score."""

    data: str = setting(
        "",
        help="data set: a name under $VITBENCH_DATA, a path, torchvision:NAME, hf:OWNER/NAME, or"
        " synthetic; left out: the protocol's usual one",
    )
    results: Path = setting(Path("results"), help="folder of the records")
    device: str = setting("auto", help="auto, cpu, cuda or cuda:N")
    precision: Precision = setting("fp32", help="of forward passes; enters the identity")
    seed: int = setting(0, help="every random draw follows from it; enters the identity", minimum=0)
    workers: int = setting(
        0,
        help="threads that read and decode; 0: the machine's cores, divided by the processes on it",
        minimum=0,
    )
    limit: Limit = setting(
        None,
        help="most items of each split: N, or SPLIT=N … (train=1000 val=500); enters the identity",
        minimum=1,
    )
    split_list: tuple[str, ...] = setting(
        (),
        help="file that names the items of the first split, or classes of all splits, one a line;"
        " SPLIT=FILE for another split; enters the identity",
    )
    skip_corrupt: int = setting(0, help="broken images that may be left out", minimum=0)
    rerun: bool = setting(False, help="run even if the same run has a record")
    timeout_minutes: float = setting(
        distributed.TIMEOUT_MINUTES,
        help="minutes that processes wait for one another before they give up",
        minimum=0.1,
    )

    @property
    def threads(self) -> int:
        """Threads that read and decode."""
        return self.workers or distributed.cores_of_a_process()


@dataclass(frozen=True, slots=True)
class Reporter:
    """How a run tells what it does."""

    progress: Progress = _silent
    log: Log = _silent
