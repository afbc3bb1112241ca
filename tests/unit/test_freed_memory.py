import ctypes
import os
import platform
import subprocess
import sys

import pytest

from vitbench.freed_memory import MMAP_THRESHOLD, keep_freed_memory

PAGES = 40 * 2**20 // os.sysconf("SC_PAGE_SIZE")  # of the bytes below
SCRIPT = """
import resource
from vitbench.freed_memory import keep_freed_memory

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"1" * (40 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
new_pages()
print(new_pages())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do as they do")
@pytest.mark.parametrize("choice", [{}, {"MALLOC_MMAP_THRESHOLD_": "131072"}])
def test_freed_memory_is_used_again_unless_the_user_chose_otherwise(choice: dict[str, str]) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    words = [sys.executable, "-c", SCRIPT]
    ended = subprocess.run(words, env=own | choice, capture_output=True, text=True, check=True)
    assert (int(ended.stdout) < PAGES / 10) != bool(choice)


@pytest.mark.skipif(sys.platform != "linux", reason="only there is a glibc")
def test_an_older_glibc_gets_the_largest_block_that_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: dict[int, int] = {}

    class Older:
        @staticmethod
        def mallopt(parameter: int, value: int) -> int:
            if parameter == MMAP_THRESHOLD and value > 32 * 2**20:
                return 0
            taken[parameter] = value
            return 1

    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Older)
    keep_freed_memory()
    assert taken[MMAP_THRESHOLD] == 32 * 2**20
    assert len(taken) == 2
