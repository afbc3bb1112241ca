"""Follow the objects of one clip: decode, extract, propagate, write and score, at the same time.

The calling thread has the model and the propagation; threads decode the frames ahead of it, and
write and score the masks behind it.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitbench.api import Backbone, Context, errors
from vitbench.kit import Clip, mask_files, on_grid, send
from vitbench_protocols.davis.frames import (
    Size,
    first_labels,
    frame_size,
    given_labels,
    hard_mask,
    introduce,
    load_frame,
    mask_grid,
    nearest_whole,
)
from vitbench_protocols.davis.jf import Values, score_frame
from vitbench_protocols.davis.pictures import write_mask, write_overlay, write_truth, write_video
from vitbench_protocols.davis.propagate import Propagator
from vitbench_protocols.davis.scores import ClipScores, only_entered

if TYPE_CHECKING:
    from vitbench_protocols.davis import Davis

T = TypeVar("T")
# Tokens of one forward pass, whatever the patch size: they bound its memory, and on a CPU more of
# them than its caches hold make it slower.
TOKENS = {"cpu": 2_000, "cuda": 50_000}
SHOWN = (0.25, 0.5, 0.75)  # of a clip: the frames that are drawn
WAITING = 64  # masks that may wait to be written and scored


@dataclass(frozen=True, slots=True)
class Follower:
    """A protocol's settings, a backbone and a run, ready to follow clips."""

    settings: "Davis"
    backbone: Backbone
    context: Context

    @torch.inference_mode()
    def follow(self, clip: Clip, folder: Path) -> ClipScores:
        """Write the masks of every frame of a clip, and score them where the truth is known.

        Args:
            clip: Read frame by frame; its first mask is given.
            folder: Where its masks go.
        """
        folder.mkdir(parents=True, exist_ok=True)
        write_mask(clip.mask(0), folder / f"{clip.frames[0].stem}.png")
        count = len(clip.frames)
        behind: list[Future[tuple[Values, Values] | None]] = []
        with _pool(self.context.workers) as pool:
            for index, mask in enumerate(self._masks(clip, pool), start=1):
                path = folder / f"{clip.frames[index].stem}.png"
                scored = clip.annotated and index < count - 1
                if len(behind) >= WAITING:
                    behind[-WAITING].result()
                behind.append(pool.submit(_finish, mask, path, clip, index if scored else None))
                self.context.progress("frames of a clip", index + 1, count, "frames")
            found = [pair for future in behind if (pair := future.result()) is not None]
        region, outline = np.empty((2, clip.objects, len(found)))
        for index, pair in enumerate(found):
            region[:, index], outline[:, index] = pair
        return ClipScores(clip.id, region, outline)

    @property
    def cell_px(self) -> int:
        """Side of a cell of the grid on which labels are followed, px."""
        return self.settings.grid_px or self.backbone.info.stage(self.settings.layer).stride

    def frame_size(self, size: Size) -> Size:
        """Return the size (height, width) that frames of a size are resized to.

        With a common grid: the whole patches that are nearest to the grid's cells in size.
        """
        whole = self._whole_cells(size)
        if not self.settings.grid_px:
            return whole
        return nearest_whole(whole, self.backbone.info.patch_size)

    def _whole_cells(self, size: Size) -> Size:
        own = self.settings
        return frame_size(size, rule=own.size_rule, short_side=own.resolution, patch=self.cell_px)

    def grid(self, size: Size) -> Size:
        """Return the grid (h, w) on which the labels of frames of a size are followed."""
        own = self.settings
        return mask_grid(size, rule=own.size_rule, short_side=own.resolution, patch=self.cell_px)

    def check(self, size: Size) -> None:
        """Refuse a backbone that can't take frames of a size, or whose maps are no such grid.

        Raises:
            MissingAbility: Says what it can't do.
        """
        seen, own = self.frame_size(size), self.settings
        found = self.backbone.map_size(*seen, own.layer)
        expected = (seen[0] // self.cell_px, seen[1] // self.cell_px)
        if not own.grid_px and found != expected:
            raise errors.MissingAbility(
                f"{self.backbone.info.arch} has no map of whole patches: {found[0]} x {found[1]} "
                f"for frames of {seen[0]} x {seen[1]} px.",
                expected=f"{expected[0]} x {expected[1]} patches of {self.cell_px} px",
                hint=f"--grid-px {self.cell_px}, which resizes the map to that grid",
            )

    def _masks(self, clip: Clip, pool: ThreadPoolExecutor) -> Iterator[NDArray[np.uint8]]:
        """Yield the predicted label map of every frame but the first."""
        own = self.settings
        size = (clip.height, clip.width)
        grid = self.grid(size)
        resized = self.frame_size(size)
        labels = first_labels(
            clip, grid, void=own.void, count=own.count_objects, shrink=own.shrink_mask
        ).to(self.context.device)
        propagator: Propagator | None = None
        for number, patches in enumerate(self.patches(clip, resized, pool)):
            tokens = patches.shape[1:]
            if propagator is None:
                propagator = Propagator(own.rules, patches, labels.reshape(-1, *tokens))
                continue
            soft = propagator.label(patches).reshape(-1, *grid)
            mask = hard_mask(soft, size, patch=self.cell_px, stretch=own.stretch)
            if entering := clip.entering(number):
                truth = clip.mask(number)
                mask = np.where(np.isin(truth, entering), truth, mask)
                given = given_labels(truth, entering, grid, shrink=own.shrink_mask)
                soft = introduce(soft, entering, given)
            propagator.remember(patches, soft.reshape(-1, *tokens))
            yield mask

    def patches(self, clip: Clip, size: Size, pool: ThreadPoolExecutor) -> Iterator[Tensor]:
        """Yield the patch tokens of every frame, (D, h, w), extracted a few frames at a time."""
        own, device = self.settings, self.context.device
        height, width = self._whole_cells((clip.height, clip.width))
        cells = (height // self.cell_px, width // self.cell_px)
        tokens = size[0] * size[1] // self.backbone.info.stage(own.layer).stride ** 2
        usual = max(1, TOKENS.get(device.type, TOKENS["cpu"]) // tokens)
        batch = self.context.batch_size or usual
        loaded = _ahead(pool, lambda index: load_frame(clip, index, size), len(clip.frames), batch)
        for start in range(0, len(clip.frames), batch):
            frames = [next(loaded) for _ in range(min(batch, len(clip.frames) - start))]
            pixels = send(torch.stack(frames), device)
            with self.context.autocast():
                images = self.context.normalization(pixels)
                features = self.backbone(images, (own.layer,), norm=own.norm)[0]
            maps = features.patches
            yield from on_grid(maps, cells) if own.grid_px else maps


def follow_once(follower: Follower, clip: Clip) -> ClipScores:
    """Follow a clip and draw it, unless a killed run of the same identity finished it."""
    output, kept = follower.context.output, follower.context.scratch / f"{clip.id}.json"
    masks = output / "masks" / clip.id
    if kept.exists() and len(mask_files(masks)) == len(clip.frames):
        return ClipScores.read(clip.id, kept)
    found = follower.follow(clip, masks)
    pictures = []
    for index in shown_frames(len(clip.frames)):
        name = f"frame {index}"
        drawn = [("overlay", f"{index:05}.jpg", partial(write_overlay, clip, masks, index))]
        if clip.annotated:
            drawn.insert(0, ("truth", f"{index:05}-truth.jpg", partial(write_truth, clip, index)))
        for what, ending, write in drawn:
            pictures.append((f"{what} {clip.id} {name}", f"overlays/{clip.id}-{ending}"))
            write(output / pictures[-1][1])
    if follower.settings.video != "none":
        pictures.append((f"video {clip.id}", f"videos/{clip.id}.{follower.settings.video}"))
        write_video(clip, masks, output / pictures[-1][1])
    found = replace(found, pictures=tuple(pictures))
    found.write(kept)
    return found


def shown_frames(count: int) -> Sequence[int]:
    """Choose the frames of a clip that are drawn: the same for every run, whatever it scored."""
    return sorted({max(1, round(count * share)) for share in SHOWN} & {*range(1, count - 1)})


def _finish(
    mask: NDArray[np.uint8], path: Path, clip: Clip, scored: int | None
) -> tuple[Values, Values] | None:
    """Write a mask, and score it against the truth of frame `scored`."""
    write_mask(mask, path)
    if scored is None:
        return None
    return only_entered(score_frame(clip.mask(scored), mask, clip.objects), clip, scored)


def _ahead(
    pool: ThreadPoolExecutor, load: Callable[[int], T], count: int, ahead: int
) -> Iterator[T]:
    """Yield `load(0)`, `load(1)`, …, made in the pool at least `ahead` items before their turn."""
    pending: deque[Future[T]] = deque()
    for index in range(count):
        while len(pending) <= ahead and index + len(pending) < count:
            pending.append(pool.submit(load, index + len(pending)))
        yield pending.popleft().result()


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Give threads for the time of the block; if it fails, waiting work is dropped."""
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allow TF32 on GPUs that have it, or forbid it, as long as the block lasts."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
