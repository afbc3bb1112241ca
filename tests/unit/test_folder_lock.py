import errno
import fcntl
import shutil
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from vitbench.folder_lock import LOCK, FolderInUse, folder_lock, lock_file


def test_a_folder_is_held_by_one_and_left_without_a_trace(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "x", wait=False):
        with pytest.raises(FolderInUse), folder_lock(tmp_path / "x", wait=False):
            pass
        assert (tmp_path / "x" / LOCK).exists()
    assert not list((tmp_path / "x").iterdir())
    with folder_lock(tmp_path / "x", wait=False):
        pass


def test_of_many_at_once_each_is_alone(tmp_path: Path) -> None:
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(20):
            with folder_lock(tmp_path / "x", wait=True):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.001)
                inside[0] -= 1
                if most[0] % 2:  # a holder may remove the folder
                    shutil.rmtree(tmp_path / "x", ignore_errors=True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_who_removed_the_folder_leaves_the_lock_of_the_next_one_alone(tmp_path: Path) -> None:
    first, second = folder_lock(tmp_path / "x", wait=False), folder_lock(tmp_path / "x", wait=False)
    with ExitStack() as held:
        with first:
            shutil.rmtree(tmp_path / "x")
            held.enter_context(second)
        with pytest.raises(FolderInUse), folder_lock(tmp_path / "x", wait=False):
            pass


@pytest.mark.parametrize(("number", "fails"), [(errno.ENOLCK, False), (errno.EIO, True)])
def test_a_disk_without_locks_is_no_error(
    number: int, fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(fcntl, "flock", refuse)
    if fails:
        with pytest.raises(OSError, match="no"), folder_lock(tmp_path, wait=True):
            pass
        return
    with folder_lock(tmp_path, wait=True), folder_lock(tmp_path, wait=False):
        pass
    with (tmp_path / "lock").open("w") as handle:
        assert lock_file(handle, wait=True) is None
