"""One run at a time in a folder: two would overwrite each other's snapshots."""

import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from vitbench import distributed
from vitbench.errors import SettingError
from vitbench.folder_lock import FolderInUse, folder_lock
from vitbench.models.run_folder import SNAPSHOTS
from vitbench.records import sweep
from vitbench.training.metric_log import read_metrics
from vitbench.training.resources import writing


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a run's folder; the system lets go of it however the process ends.

    A run that fails before it has written a line leaves the folder as it was.

    Raises:
        SettingError: Another run, on this machine, is at work there.
        TrainingError: The folder can't be written.
    """
    with ExitStack() as stack:  # every process hears of a refusal
        distributed.compute_on_main(lambda: stack.enter_context(_lock(folder)))
        yield


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    before = set(folder.iterdir()) if folder.is_dir() else set()
    with ExitStack() as stack:
        try:
            with writing("the run", folder, hint="--out names another folder"):
                stack.enter_context(folder_lock(folder, wait=False))
        except FolderInUse as error:
            raise SettingError(
                [f"a run is at work in {str(folder)!r}"],
                hint="wait until it is done or stop it; --out names another folder",
            ) from error
        for place in (folder, folder / SNAPSHOTS):
            sweep(place)
        try:
            yield
        except BaseException:
            if not read_metrics(folder) and not (folder / SNAPSHOTS).exists():
                _leave_as_it_was(folder, before, missing)
            raise


def _leave_as_it_was(folder: Path, before: Collection[Path], missing: Collection[Path]) -> None:
    """Remove what was not there before, and the folders that were made for it."""
    for path in folder.iterdir():
        if path not in before:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with suppress(OSError):  # someone else put something there
        for made in missing:
            made.rmdir()
