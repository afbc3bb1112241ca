"""Decoded images kept in memory, as many as fit, so that later epochs skip the decoding."""

import os
from pathlib import Path
from threading import Lock

from vitbench.data.image_files import Images
from vitbench.data.sizes import Pixels
from vitbench.data.tar_files import Encoded

MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
SHARE = 0.5  # of the free memory


class DecodedCache:
    """The images of a set, remembered once they were read.

    Args:
        images: The set.
        budget_bytes: Memory for pixels; what comes when it is full is decoded each time.
    """

    def __init__(self, images: Images, budget_bytes: int) -> None:
        self._images, self._left = images, budget_bytes
        self._kept: dict[int, Pixels] = {}
        self._lock = Lock()

    @property
    def root(self) -> Path:
        """The folder that holds them."""
        return self._images.root

    @property
    def ids(self) -> tuple[str, ...]:
        """A name for each image."""
        return self._images.ids

    def __len__(self) -> int:
        return len(self._images)

    def encoded(self, index: int) -> Encoded:
        """Return an image as it is stored; raises CorruptImage as the set does."""
        return self._images.encoded(index)

    def read(self, index: int) -> Pixels:
        """Return an image's pixels; raises CorruptImage as the set does."""
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        pixels = self._images.read(index)
        with self._lock:
            if index not in self._kept and pixels.nbytes <= self._left:
                self._left -= pixels.nbytes
                self._kept[index] = pixels
        return pixels


def memory_for_images(processes: int) -> int:
    """Give the bytes that one of several processes on this machine may fill with images."""
    return int(SHARE * free_memory() / processes)


def free_memory() -> int:
    """Give the bytes that can be taken without swapping, a container's limit included."""
    if not MEMINFO.exists():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    facts = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
    free = int(facts["MemAvailable"].split()[0]) * 1024
    limit = CGROUP / "memory.max"
    if limit.exists() and (most := limit.read_text().strip()).isdigit():
        lines = (CGROUP / "memory.stat").read_text().splitlines()
        taken = int(next(line for line in lines if line.startswith("anon ")).split()[1])
        free = min(free, int(most) - taken)
    return max(free, 0)
