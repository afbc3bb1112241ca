import errno
import fcntl
from pathlib import Path

import pytest

from vitbench.file_lock import lock


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as first:
        assert lock(first, wait=True)
        with (tmp_path / "lock").open("w") as second:
            assert not lock(second, wait=False)
    with (tmp_path / "lock").open("w") as third:
        assert lock(third, wait=False)


@pytest.mark.parametrize(("number", "fails"), [(errno.ENOLCK, False), (errno.EIO, True)])
def test_a_disk_without_locks_is_no_error(
    number: int, fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (tmp_path / "lock").open("w") as handle:
        if fails:
            with pytest.raises(OSError, match="no"):
                lock(handle, wait=True)
        else:
            assert lock(handle, wait=True)
