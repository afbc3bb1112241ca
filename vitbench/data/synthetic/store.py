"""Where the built-in data lies, and how it gets there: made once, whole or not at all."""

import hashlib
import inspect
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

from vitbench.cache import find_cached
from vitbench.data.synthetic import classification, clips, instances, semantic
from vitbench.errors import DatasetError, DatasetNotFound
from vitbench.records import BUILDING, DataKind

VERSION = 1  # +1 whenever a pixel or an annotation changes
NAME = "synthetic"

Progress = Callable[[str, int, int], None]

_VIEWS: dict[DataKind, tuple[Callable[[Path], Iterator[None]], int]] = {
    "classification": (classification.write_classification, classification.PICTURES),
    "instances": (instances.write_instances, instances.PICTURES),
    "semantic": (semantic.write_semantic, semantic.PICTURES),
    "clips": (clips.write_clips, clips.PICTURES),
}


def synthetic_folder(
    kind: DataKind,
    write_demo: Callable[[Path], None] | None = None,
    *,
    progress: Progress | None = None,
) -> Path:
    """Return the folder with one view of the built-in data, made on the first call.

    A view is built in a folder of its own and then renamed, so a run that is killed leaves no half
    of it, and of two processes that build at once one is kept.

    Args:
        kind: Which view; each has the official layout that the ordinary readers read.
        write_demo: Writes the data of a kind that vitbench has no view of, as a plug-in's reader
            offers it; they are written anew when the code of the function changes.
        progress: Told what is made, how many pictures are done, and how many there will be.

    Raises:
        DatasetNotFound: There is no such view.
        DatasetError: The cache folder can't be written.
    """
    place, write, total = _view(kind, write_demo)
    folder = find_cached(f"{NAME}-v{VERSION}", place, NAME)
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(mkdtemp(dir=folder.parent, prefix=BUILDING))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        for done, _ in enumerate(write(building), start=1):
            if progress is not None:
                progress(f"making {NAME} {kind}", done, total)
        _keep(building, folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _view(
    kind: DataKind, write_demo: Callable[[Path], None] | None
) -> tuple[str, Callable[[Path], Iterator[None]], int]:
    """Return the folder of a view, who writes it, and how many pictures that yields."""
    if kind in _VIEWS:
        return kind, *_VIEWS[kind]
    if write_demo is None:
        raise DatasetNotFound(
            f"the built-in data has no {kind} view.",
            expected=f"one of {', '.join(_VIEWS)}",
            hint="--data PATH",
        )

    def write(root: Path) -> Iterator[None]:
        write_demo(root)
        yield

    source = Path(inspect.getsourcefile(write_demo) or "")
    code = hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else ""
    return f"{kind}-{code[:8]}", write, 1


def _keep(building: Path, folder: Path) -> None:
    """Give the built folder its name, unless another process was faster."""
    building.chmod(0o755)
    try:
        building.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _unwritable(folder: Path, error: OSError) -> DatasetError:
    return DatasetError(
        f"the built-in data can't be written to {str(folder.parent)!r}.",
        expected="a folder that can be written, about 20 MB free",
        found=str(error),
        hint="export VITBENCH_CACHE=PATH",
    )
