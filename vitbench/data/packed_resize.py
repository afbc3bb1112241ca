"""Crops of images of any sizes, resized all at once: for a device where few launches count.

Images lie one after another as rows of `UNIT` pixels. A crop is made in two passes, down and then
across; each output is a weighted sum of some rows of a table, and all sums of a pass are one
`embedding_bag`. So the number of launches is the same for any number of images and sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from vitbench.data.crop_resize import SUPPORT, Filter, kernel
from vitbench.data.multicrop import Bools, Ints
from vitbench.data.sizes import Pixels

UNIT = 32  # pixels of a row of the table

Params = NDArray[np.int32]
Groups = list[tuple[int, int]]  # how many crops of which size, one after another


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where images lie in the table."""

    heights: Ints
    widths: Ints  # in units, rounded up
    starts: Ints  # first row of each

    @classmethod
    def of(cls, images: Sequence[Pixels | Tensor]) -> "Shelf":
        """Lay images out one after another."""
        heights = np.array([image.shape[0] for image in images])
        widths = np.array([-(-image.shape[1] // UNIT) for image in images])
        return cls(heights, widths, starts_of(heights * widths))

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the table: rows, pixels, colors."""
        return int((self.heights * self.widths).sum()), UNIT, 3

    def fill(self, table: Any, images: Sequence[Pixels | Tensor]) -> None:
        """Copy images to their places; what is right of them stays as it is."""
        places = zip(images, self.starts, self.heights, self.widths, strict=True)
        for image, start, height, width in places:
            rows = table[start : start + height * width].reshape(height, width * UNIT, 3)
            rows[:, : image.shape[1]] = image


@dataclass(frozen=True, slots=True)
class Cuts:
    """What the device has to know of n crops, groups of one size after another."""

    sizes: Ints  # (n,) side S of each crop
    of_crop: Params  # (2, n, len(FIELDS)): down, across
    lengths: NDArray[np.float32]  # (2, n, 3) scale, length of the box, latest first pixel of a sum
    crop: Params  # (M,) crop of each sample; a crop has S samples in each direction
    sample: NDArray[np.float32]  # (2, M) its number, from the other end where a crop is mirrored
    taps: int  # most pixels in a sum
    groups: Groups

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the device gets."""
        return {name: getattr(self, name) for name in ("of_crop", "lengths", "crop", "sample")}


SAMPLES, STEPS, SIZE, TAPS, START, STRIDE, ENTRIES, BAGS, FIRST_BAG = range(9)  # FIELDS


def cuts(shelf: Shelf, image: Ints, box: Ints, flip: Bools, groups: Groups, kind: Filter) -> Cuts:
    """Plan crops.

    Args:
        shelf: Where the images lie.
        image: The image of each crop, (n,).
        box: Top, left, height, width of each, (n, 4).
        flip: Which to mirror, (n,).
        groups: How many crops of which size, one after another.
        kind: The filter of the resize.
    """
    sizes = np.concatenate([np.full(count, size) for count, size in groups])
    top, left, height, width = box.T
    first = left // UNIT
    units = (left + width - 1) // UNIT - first + 1
    down = _fields(
        sizes, kind, height, units,
        start=shelf.starts[image] + top * shelf.widths[image] + first, stride=shelf.widths[image],
    )  # fmt: skip
    across = _fields(
        sizes, kind, width, np.ones_like(units),
        start=starts_of(units) * UNIT + left - first * UNIT, stride=np.ones_like(units),
    )  # fmt: skip
    crop = np.repeat(np.arange(len(sizes)), sizes)
    sample = np.arange(len(crop)) - np.repeat(starts_of(sizes), sizes)
    mirrored = np.where(flip[crop], sizes[crop] - 1 - sample, sample)
    lengths = np.stack([height, width])
    latest = lengths - np.stack([down[:, TAPS], across[:, TAPS]])
    return Cuts(
        sizes=sizes,
        of_crop=np.stack([down, across]).astype(np.int32),
        lengths=np.stack([lengths / sizes, lengths, latest], axis=-1).astype(np.float32),
        crop=crop.astype(np.int32),
        sample=np.stack([sample, mirrored]).astype(np.float32),
        taps=int(max(down[:, TAPS].max(), across[:, TAPS].max())),
        groups=groups,
    )


def _fields(
    sizes: Ints, kind: Filter, length: Ints, steps: Ints, *, start: Ints, stride: Ints
) -> Ints:
    """Return what a pass has to know of each crop, (n, FIELDS)."""
    wide = np.maximum(length / sizes, 1)
    taps = np.minimum(2 * np.ceil(SUPPORT[kind] * wide).astype(np.int64) + 1, length)
    bags = steps * sizes
    return np.stack(
        [starts_of(sizes), steps, sizes, taps, start, stride, bags * taps, bags, starts_of(bags)],
        axis=1,
    )


def starts_of(counts: Ints) -> Ints:
    """Return where each of some runs starts, given their lengths."""
    return np.cumsum(counts) - counts


def resize(table: Tensor, plan: Cuts, sent: dict[str, Tensor], kind: Filter) -> list[Tensor]:
    """Make all crops.

    Args:
        table: The images, float (rows, UNIT * 3).
        plan: The crops.
        sent: `of_crop`, `lengths`, `crop`, `sample` of the plan, on the device.
        kind: The filter.

    Returns:
        Float (n, S, S, 3) of each group: crop, column, row, color; not rounded.
    """
    first, weights = sample_weights(sent, plan.taps, kind)
    rows, offsets, index = _bags(plan, sent["of_crop"][0], 0, first[0])
    tall = embedding_bag(
        rows, table, offsets, mode="sum", per_sample_weights=weights[0].flatten()[index]
    )
    rows, offsets, index = _bags(plan, sent["of_crop"][1], 1, first[1])
    shares = weights[1].flatten()[index]
    made, bag, entry, at = [], 0, 0, 0
    for group, (count, size) in enumerate(plan.groups):
        crops = slice(at, at + count)
        units = int(plan.of_crop[0, crops, STEPS].sum())
        strip = tall[bag : bag + units * size].view(units, size, UNIT, 3).transpose(1, 2)
        strip = strip.reshape(units * UNIT, size * 3)
        entries = int(plan.of_crop[1, crops, ENTRIES].sum())
        mine = slice(entry, entry + entries)
        before = int(plan.of_crop[0, :at, STEPS].sum()) * UNIT
        row_of = rows[mine] - before if group else rows[mine]
        starts = offsets[plan.of_crop[1, at, FIRST_BAG] :][: count * size]
        found = embedding_bag(
            row_of,
            strip,
            starts - entry if group else starts,
            mode="sum",
            per_sample_weights=shares[mine],
        )
        made.append(found.view(count, size, size, 3))
        bag, entry, at = bag + units * size, entry + entries, at + count
    return made


def sample_weights(sent: dict[str, Tensor], taps: int, kind: Filter) -> tuple[Tensor, Tensor]:
    """Return for each sample, down and across, its first pixel in the box and the pixels' weights.

    Returns:
        First pixels (2, M) int32, and weights (2, M, taps), whose rows sum to 1.

    Source:
        Pillow, libImaging/Resample.c, precompute_coeffs: the filter is widened by the scale when
        it shrinks, and cut off at the interval's ends.
    """
    scale, length, latest = sent["lengths"][:, sent["crop"]].unbind(-1)  # (2, M)
    wide = scale.clamp(min=1)
    center = (sent["sample"] + 0.5) * scale
    first = torch.sub(center, wide, alpha=SUPPORT[kind]).add_(0.5).floor_()
    first = first.clamp_(min=0).minimum(latest)
    pixel = first[..., None] + torch.arange(taps, device=first.device)
    distance = (pixel - (center - 0.5)[..., None]).div_(wide[..., None])
    weight = kernel(distance, kind).mul_(pixel < length[..., None])
    return first.int(), weight.div_(weight.sum(-1, keepdim=True))


def _bags(plan: Cuts, fields: Tensor, axis: int, first: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sums of a pass: rows of the table, where each sum starts, places of weights."""
    known = plan.of_crop[axis].astype(np.int64)
    entries, bags = int(known[:, ENTRIES].sum()), int(known[:, BAGS].sum())
    crop = torch.repeat_interleave(fields[:, ENTRIES], output_size=entries)
    before = torch.cumsum(fields[:, ENTRIES], 0, dtype=torch.int32) - fields[:, ENTRIES]
    mine = fields[crop]  # (entries, FIELDS)
    local = torch.arange(entries, device=crop.device, dtype=torch.int32) - before[crop]
    bag, tap = local // mine[:, TAPS], local % mine[:, TAPS]
    step, sample = bag // mine[:, SIZE], bag % mine[:, SIZE] + mine[:, SAMPLES]
    rows = torch.addcmul(mine[:, START] + step, first[sample] + tap, mine[:, STRIDE])
    of_bag = torch.repeat_interleave(fields[:, BAGS], output_size=bags)
    number = (
        torch.arange(bags, device=crop.device, dtype=torch.int32) - fields[:, FIRST_BAG][of_bag]
    )
    offsets = torch.addcmul(before[of_bag], number, fields[:, TAPS][of_bag])
    return rows, offsets, sample * plan.taps + tap
