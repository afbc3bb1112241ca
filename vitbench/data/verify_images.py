"""Find broken image files before any long work starts; a dataset is screened once."""

from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from typing import Any

from vitbench.cache import cache_place, find_cached
from vitbench.data.decode import refusal
from vitbench.data.kinds import ImageDataset
from vitbench.data.loader import in_order
from vitbench.errors import DatasetError, listed

AHEAD = 16  # images a thread that are looked at before their turn

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
    marker = ("screened", fingerprint)
    if find_cached(*marker).exists():
        return dataset, ()
    refusals = []
    reads = [partial(dataset.encoded, index) for index in range(len(dataset))]
    looked_at = in_order(refusal, reads, workers=workers, ahead=AHEAD * max(1, workers))
    with closing(looked_at):  # a run that is stopped here does not end the queue first
        for done, found in enumerate(looked_at, start=1):
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
        with suppress(OSError):  # a cache that can't be written costs time alone
            cache_place(*marker).parent.mkdir(parents=True, exist_ok=True)
            cache_place(*marker).touch()
        return dataset, ()
    return dataset.subset([n for n, error in enumerate(refusals) if error is None]), names
