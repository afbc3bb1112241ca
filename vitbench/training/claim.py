"""One run at a time in a folder: two would overwrite each other's snapshots."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vitbench import distributed
from vitbench.errors import SettingError

LOCK = "lock"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold a run's folder; the system lets go of it however the process ends.

    Raises:
        SettingError: Another run, on this machine, is at work there.
    """
    if not distributed.is_main():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingError(
                [f"a run is at work in {str(folder)!r}"],
                hint="wait until it is done or stop it; --out names another folder",
            ) from error
        yield
