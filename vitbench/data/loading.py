"""The flags of reading training images; importing this imports no torch."""

from dataclasses import dataclass
from typing import Literal

from vitbench import distributed
from vitbench.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderConfig:
    """Settings of reading and augmenting the images of a training run."""

    workers: int = setting(
        0,
        help="threads that decode images; 0: the machine's cores, divided by the processes on it",
        minimum=0,
        identity=False,
    )
    cache: Literal["none", "ram"] = setting(
        "none", help="whether decoded images are kept in memory, as many as fit", identity=False
    )
    augment: Literal["batched", "pil"] = setting(
        "batched",
        help="how crops are augmented: whole batches on the device, or image by image with PIL as"
        " the references do",
    )
    decode: Literal["exact", "scaled", "nvjpeg"] = setting(
        "exact",
        help="how images are decoded: exact, every pixel as PIL does; scaled, JPEGs at 1/2, 1/4 or"
        " 1/8 of their size where every crop stays as large as it is resized to; nvjpeg, JPEGs on"
        " the CUDA device",
    )
    skip_corrupt: int = setting(
        0,
        help="number of broken images that are skipped before the run stops",
        minimum=0,
        identity=False,  # where it matters, a run with another number would have stopped
    )

    @property
    def threads(self) -> int:
        """Threads that decode."""
        return self.workers or distributed.cores_of_a_process()
