"""Find broken image files before any long work starts; a dataset is screened once.

What can be seen without decoding is looked for first: where nothing is found, and no image may be
left out, the pass that decodes all images anyhow has the last word.
"""

from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from typing import Any

from vitbench.cache import cache_place, find_cached
from vitbench.data.decode import CorruptImage, early_refusal, refusal
from vitbench.data.kinds import ImageDataset
from vitbench.data.loader import in_order
from vitbench.errors import DatasetError, listed

AHEAD = 16  # images a thread that are looked at before their turn

Progress = Callable[[str, int, int], None]
Read = Callable[[], tuple[str, bytes]]  # name and bytes of an image
Look = Callable[[Read], CorruptImage | None]


def verify_images(
    dataset: ImageDataset[Any],
    *,
    fingerprint: str,
    skip: int,
    workers: int,
    progress: Progress,
) -> tuple[ImageDataset[Any], tuple[str, ...]]:
    """Look at every image once, and leave broken ones out.

    Args:
        dataset: The images.
        fingerprint: Of the images; those that were found whole are not looked at again.
        skip: How many broken images may be left out; if any, all images are decoded.
        workers: Threads that decode.
        progress: Told how far it is.

    Returns:
        The dataset without its broken images, and their ids.

    Raises:
        DatasetError: More images are broken than may be left out; at most ten are named.
    """
    broken = partial(_broken, dataset, workers, progress)
    if not skip and not broken(early_refusal, f"{fingerprint}.early"):
        return dataset, ()
    found = broken(refusal, fingerprint)
    names = tuple(dataset.ids[index] for index in found)
    if len(found) > skip:
        first = next(iter(found.values()))
        raise DatasetError(
            f"{len(found)} of {len(dataset)} images can't be read: {listed(names)}.",
            expected=f"at most {skip} broken images" if skip else first.expected,
            found=f"{names[0]}: {first.found}",
            hint=f"{first.cure}, or leave broken images out with --skip-corrupt {len(found)}",
        )
    if not found:
        return dataset, ()
    return dataset.subset([n for n in range(len(dataset)) if n not in found]), names


def _broken(
    dataset: ImageDataset[Any], workers: int, progress: Progress, look: Look, mark: str
) -> dict[int, CorruptImage]:
    """Return what is wrong with images, by their number; that nothing is, is kept by a mark."""
    marker = ("screened", mark)
    if find_cached(*marker).exists():
        return {}
    found = {}
    reads = [partial(dataset.encoded, index) for index in range(len(dataset))]
    looked_at = in_order(look, reads, workers=workers, ahead=AHEAD * max(1, workers))
    with closing(looked_at):  # a run that is stopped here does not end the queue first
        for number, error in enumerate(looked_at):
            if error is not None:
                found[number] = error
            if (number + 1) % 100 == 0 or number + 1 == len(reads):
                progress(f"checking {dataset.info.split} images", number + 1, len(reads))
    if not found:
        with suppress(OSError):  # a cache that can't be written costs time alone
            cache_place(*marker).parent.mkdir(parents=True, exist_ok=True)
            cache_place(*marker).touch()
    return found
