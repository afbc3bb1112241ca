"""Find broken image files before any long work starts; a dataset is screened once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from vitbench.cache import cache_root
from vitbench.data.decode import refusal
from vitbench.data.kinds import ImageDataset
from vitbench.errors import DatasetError, listed

Progress = Callable[[str, int, int], None]


def verify_images(
    dataset: ImageDataset[Any],
    *,
    fingerprint: str,
    skip: int,
    workers: int,
    progress: Progress,
) -> tuple[ImageDataset[Any], tuple[str, ...]]:
    """Decode every image once, and leave broken ones out.

    Args:
        dataset: The images.
        fingerprint: Of the images; those that were found whole are not looked at again.
        skip: How many broken images may be left out.
        workers: Threads that decode.
        progress: Told how far it is.

    Returns:
        The dataset without its broken images, and their ids.

    Raises:
        DatasetError: More images are broken than may be left out; at most ten are named.
    """
    marker = cache_root() / "screened" / fingerprint
    if marker.exists():
        return dataset, ()
    refusals = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        reads = [partial(dataset.encoded, index) for index in range(len(dataset))]
        for done, found in enumerate(pool.map(refusal, reads), start=1):
            refusals.append(found)
            if done % 100 == 0 or done == len(reads):
                progress(f"checking {dataset.info.split} images", done, len(reads))
    broken = {index: error for index, error in enumerate(refusals) if error is not None}
    names = tuple(dataset.ids[index] for index in broken)
    if len(broken) > skip:
        first = next(iter(broken.values()))
        raise DatasetError(
            f"{len(broken)} of {len(dataset)} images can't be read: {listed(names)}.",
            expected=f"at most {skip} broken images" if skip else first.expected,
            found=f"{names[0]}: {first.found}",
            hint=f"{first.cure}, or leave broken images out with --skip-corrupt {len(broken)}",
        )
    if not broken:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        return dataset, ()
    return dataset.subset([n for n, error in enumerate(refusals) if error is None]), names
