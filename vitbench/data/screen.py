"""Find broken image files before any long work starts; a dataset is screened once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from vitbench.cache import cache_root
from vitbench.data.folders import FolderDataset
from vitbench.errors import DatasetError, listed

Progress = Callable[[str, int, int], None]


def screen(
    dataset: FolderDataset, *, skip: int, workers: int, progress: Progress
) -> tuple[FolderDataset, tuple[str, ...]]:
    """Decode every image once, and leave broken ones out.

    Args:
        dataset: The images.
        skip: How many broken images may be left out.
        workers: Threads that decode.
        progress: Told how far it is.

    Returns:
        The dataset without its broken images, and their ids.

    Raises:
        DatasetError: More images are broken than may be left out; at most ten are named.
    """
    marker = cache_root() / "screened" / dataset.info.fingerprint
    if marker.exists():
        return dataset, ()
    broken = [
        name
        for name, reason in zip(dataset.ids, _reasons(dataset, workers, progress), strict=True)
        if reason
    ]
    if len(broken) > skip:
        raise DatasetError(
            f"{len(broken)} of {len(dataset)} images can't be read: {listed(broken)}.",
            expected="whole image files" if not skip else f"at most {skip} broken images",
            found=next(filter(None, _reasons_of([dataset.files[dataset.ids.index(broken[0])]]))),
            hint=f"restore them, or leave them out with --skip-corrupt {len(broken)}",
        )
    if broken:
        return dataset.without(frozenset(broken)), tuple(broken)
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    return dataset, ()


def _reasons(dataset: FolderDataset, workers: int, progress: Progress) -> list[str]:
    files, found = dataset.files, []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for done, reason in enumerate(pool.map(_reason, files, chunksize=16), start=1):
            found.append(reason)
            if done % 100 == 0 or done == len(files):
                progress(f"checking {dataset.info.split} images", done, len(files))
    return found


def _reasons_of(files: Sequence[Path]) -> list[str]:
    return [_reason(path) for path in files]


def _reason(path: Path) -> str:
    """Say why a file can't be decoded, or nothing."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (1, 1))  # JPEG: all bits are read, an eighth of the pixels made
            image.load()
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""
