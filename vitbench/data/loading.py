"""How a training run reads its images: flags, known before torch is imported."""

from dataclasses import dataclass
from typing import Literal

from vitbench import distributed
from vitbench.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderConfig:
    """How a run reads and augments its images."""

    workers: int = setting(
        0,
        help="threads that decode; 0: the machine's cores, divided by the processes on it",
        minimum=0,
        identity=False,
    )
    cache: Literal["none", "ram"] = setting(
        "none", help="keep decoded images in memory, as many as fit", identity=False
    )
    augment: Literal["batched", "pil"] = setting(
        "batched", help="whole batches on the device, or the reference: image by image with PIL"
    )
    skip_corrupt: int = setting(
        0,
        help="broken images to skip before stopping",
        minimum=0,
        identity=False,  # where it matters, a run with another number would have stopped
    )

    @property
    def threads(self) -> int:
        """Threads that decode."""
        return self.workers or distributed.cores_of_a_process()
