"""The differences of mmdetection's Mask R-CNN from torchvision's, and nothing else.

torchvision's parts do the work; what stands here takes the place of the piece that differs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection import _utils
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import roi_align

from vitbench.kit import keyed_uniform

LEVELS = ("0", "1", "2", "3")  # of the pyramid that RoIs are read from; "pool" is for proposals
FINEST = 56.0  # px: RoIs up to twice this side are read from the finest level


class Anchors(AnchorGenerator):  # type: ignore[misc]
    """Anchors with sides that are not rounded, at fixed strides.

    torchvision rounds the corners, and takes the ratio of image and grid for the stride, which is
    too small where the coarsest grid is rounded up.

    Args:
        strides: Of the levels, px.
        scale: Side of an anchor of ratio 1, in strides.
        ratios: Height over width.
    """

    def __init__(self, strides: Sequence[int], scale: float, ratios: Sequence[float]) -> None:
        self.strides = tuple(strides)
        super().__init__(
            tuple((scale * stride,) for stride in strides), (tuple(ratios),) * len(strides)
        )

    def generate_anchors(
        self, scales: Sequence[float], aspect_ratios: Sequence[float], **_kind: Any
    ) -> Tensor:
        """Return anchors around the origin, (A, 4)."""
        root = torch.tensor(aspect_ratios).sqrt()[:, None]
        sides = torch.tensor(scales, dtype=torch.float32)[None]
        half = torch.stack([(sides / root).flatten(), (sides * root).flatten()], dim=1) / 2
        return torch.cat([-half, half], dim=1)

    def forward(self, images: Any, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return all anchors of each image, float32, whatever the type of the maps."""
        self.set_cell_anchors(torch.float32, maps[0].device)
        strides = [[torch.tensor(stride, device=maps[0].device)] * 2 for stride in self.strides]
        every = torch.cat(self.grid_anchors([each.shape[-2:] for each in maps], strides))
        return [every] * len(images.image_sizes)


class Matcher:
    """Gives each box an object, none, or leaves it out.

    Every object also gets the boxes that overlap it most, if that is at least `least`: they are
    this object's, even where they overlap another one more. torchvision has no such limit, and
    leaves such a box with the object that it overlaps most.

    Args:
        high: IoU from which a box is the object's.
        low: IoU below which a box is background; between the two it is left out.
        least: IoU that an object's best boxes must have.
    """

    BELOW_LOW_THRESHOLD, BETWEEN_THRESHOLDS = -1, -2

    def __init__(self, high: float, low: float, least: float) -> None:
        self.high, self.low, self.least = high, low, least

    def __call__(self, overlaps: Tensor) -> Tensor:
        """Return the object of each box (N,), or one of the two constants, from IoUs (G, N)."""
        best, matches = overlaps.max(dim=0)
        matches[best < self.high] = self.BETWEEN_THRESHOLDS
        matches[best < self.low] = self.BELOW_LOW_THRESHOLD
        most = overlaps.max(dim=1, keepdim=True).values
        numbers = torch.arange(len(overlaps), device=overlaps.device)[:, None]
        chosen = torch.where((overlaps == most) & (most >= self.least), numbers, -1).amax(dim=0)
        return torch.where(chosen >= 0, chosen, matches)  # of several objects the last


class Sampler:
    """Chooses among right and wrong boxes, drawn by the place in the stream of samples.

    torchvision draws from the global generator.
    """

    def __init__(self, count: int, positive: float, stream: str) -> None:
        self.count, self.most = count, int(count * positive)
        self.stream, self.address = stream, (0, 0)

    def __call__(self, labels: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return masks of the chosen right and wrong boxes of one image, each in a list."""
        (mine,) = labels
        seed, position = self.address
        drawn = int(keyed_uniform(seed, self.stream, position, count=1)[0] * 2**32)
        generator = torch.Generator().manual_seed(drawn)
        right = _chosen(mine >= 1, self.most, generator)
        wrong = _chosen(mine == 0, self.count - int(right.sum()), generator)
        return [right], [wrong]


def _chosen(among: Tensor, count: int, generator: torch.Generator) -> Tensor:
    places = torch.where(among)[0]
    order = torch.randperm(len(places), generator=generator)[:count]
    chosen = torch.zeros_like(among)
    chosen[places[order.to(places.device)]] = True
    return chosen


class BoxCoder(_utils.BoxCoder):  # type: ignore[misc]
    """Box offsets; a decoded box is limited in how much it shrinks too, not only how it grows."""

    def decode_single(self, rel_codes: Tensor, boxes: Tensor) -> Tensor:
        """Return boxes (N, 4 C) from offsets (N, 4 C) and boxes (N, 4)."""
        codes = rel_codes.reshape(len(rel_codes), rel_codes.shape[1] // 4, 4).clone()
        limit = torch.tensor(self.weights[2:], device=codes.device) * self.bbox_xform_clip
        codes[..., 2:] = codes[..., 2:].clamp(-limit, limit)
        return super().decode_single(codes.flatten(1), boxes)  # type: ignore[no-any-return]


class Proposals(RegionProposalNetwork):  # type: ignore[misc]
    """The region proposal network with L1 in the place of smooth L1."""

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: list[Tensor],
        regression_targets: list[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of objectness and boxes, both over the sampled anchors."""
        (right,), (wrong,) = self.fg_bg_sampler(labels)
        sampled = right | wrong
        count = sampled.sum().clamp(min=1)
        missed = functional.l1_loss(
            pred_bbox_deltas[right], regression_targets[0][right], reduction="sum"
        )
        guessed = functional.binary_cross_entropy_with_logits(
            objectness.flatten()[sampled], labels[0][sampled], reduction="sum"
        )
        return guessed / count, missed / count


class Pooler(torch.nn.Module):
    """RoIAlign on four levels of fixed strides: aligned, with as many samples as a bin has pixels.

    torchvision takes two samples a side, shifts boxes by half a pixel, and derives the strides from
    the sizes of image and maps.
    """

    def __init__(self, strides: Sequence[int], size: int) -> None:
        super().__init__()
        self.strides, self.size = tuple(strides), size

    def forward(
        self, maps: Mapping[str, Tensor], boxes: Sequence[Tensor], _sizes: object
    ) -> Tensor:
        """Return what one image's boxes (R, 4) cover, (R, D, size, size)."""
        (rois,) = boxes
        found = maps[LEVELS[0]].new_zeros(
            (len(rois), maps[LEVELS[0]].shape[1], self.size, self.size), dtype=torch.float32
        )
        sides = (rois[:, 2:] - rois[:, :2]).clamp(min=0).prod(dim=1).sqrt()
        level = torch.log2(sides / FINEST + 1e-6).floor().clamp(0, len(LEVELS) - 1)
        for number, (name, stride) in enumerate(zip(LEVELS, self.strides, strict=True)):
            mine = torch.where(level == number)[0]
            pooled = align(maps[name].float(), rois[mine], self.size, scale=1 / stride)
            found = found.index_copy(0, mine, pooled)
        return found


def align(image: Tensor, boxes: Tensor, size: int, *, scale: float = 1.0) -> Tensor:
    """Return what boxes (R, 4) cover of an image (1, D, H, W), (R, D, size, size)."""
    found: Tensor = roi_align(image, [boxes], size, scale, sampling_ratio=0, aligned=True)
    return found


class Heads(RoIHeads):  # type: ignore[misc]
    """Box and mask heads of one image: L1 in the place of smooth L1, true masks of ones and zeros.

    torchvision's true masks are interpolated.
    """

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return what was found, or, with targets, the losses; the other one is empty."""
        if targets is None:
            return self._found(features, proposals, image_shapes), {}
        proposals, objects, labels, offsets = self.select_training_samples(proposals, targets)
        scores, boxes = self._boxes(features, proposals, image_shapes)
        right = torch.where(labels[0] > 0)[0]
        kinds = labels[0][right]
        boxes = boxes.view(len(boxes), scores.shape[1], 4)[right, kinds]
        missed = functional.l1_loss(boxes, offsets[0][right], reduction="sum")
        count = max(1, len(labels[0]))
        losses = {
            "class": functional.cross_entropy(scores, labels[0], reduction="sum") / count,
            "box": missed / count,
            "mask": self._mask_loss(
                features, proposals[0][right], kinds, objects[0][right], targets[0]
            ),
        }
        return {}, losses

    def _boxes(
        self, features: dict[str, Tensor], proposals: list[Tensor], sizes: object
    ) -> tuple[Tensor, Tensor]:
        pooled = self.box_roi_pool(features, proposals, sizes)
        scores, boxes = self.box_predictor(self.box_head(pooled))
        return scores.float(), boxes.float()

    def _masks(self, features: dict[str, Tensor], boxes: Tensor, kinds: Tensor) -> Tensor:
        """Return the logits of the masks of some categories in some boxes, (R, M, M)."""
        pooled = self.mask_roi_pool(features, [boxes], None)
        logits: Tensor = self.mask_predictor(self.mask_head(pooled))
        return logits[torch.arange(len(kinds), device=kinds.device), kinds].float()

    def _mask_loss(
        self,
        features: dict[str, Tensor],
        boxes: Tensor,
        kinds: Tensor,
        objects: Tensor,
        target: dict[str, Tensor],
    ) -> Tensor:
        outlined = target["outlined"][objects]
        boxes, kinds, objects = boxes[outlined], kinds[outlined], objects[outlined]
        logits = self._masks(features, boxes, kinds)
        if not len(boxes):
            return logits.sum() * 0
        truth = true_masks(target["masks"], boxes, objects, logits.shape[-1])
        return functional.binary_cross_entropy_with_logits(logits, truth)

    def _found(
        self, features: dict[str, Tensor], proposals: list[Tensor], sizes: list[tuple[int, int]]
    ) -> dict[str, Tensor]:
        scores, offsets = self._boxes(features, proposals, sizes)
        boxes, scores, labels = self.postprocess_detections(scores, offsets, proposals, sizes)
        masks = self._masks(features, boxes[0], labels[0]).sigmoid()
        return {"boxes": boxes[0], "scores": scores[0], "labels": labels[0], "masks": masks}


def true_masks(masks: Tensor, boxes: Tensor, objects: Tensor, size: int) -> Tensor:
    """Return the part of each box's object that the box shows, ones and zeros (R, size, size).

    Args:
        masks: Of the objects, (G, H, W).
        boxes: (R, 4).
        objects: Which one belongs to each box, (R,).
        size: Side of the result.
    """
    rois = torch.cat([objects[:, None].to(boxes), boxes], dim=1)
    shown: Tensor = roi_align(
        masks[:, None].to(boxes), rois, size, 1.0, sampling_ratio=0, aligned=True
    )
    return (shown[:, 0] >= 0.5).to(boxes)


def paste(mask: Tensor, box: Tensor, size: tuple[int, int]) -> Tensor:
    """Draw a mask into an image by interpolation at the center of each pixel.

    torchvision widens the box to whole pixels first.

    Args:
        mask: Probabilities (M, M).
        box: (4,) in px of the image.
        size: Height and width of the image.

    Returns:
        (H, W), true where the probability is at least one half.

    Source:
        mmdetection 2.x, FCNMaskHead.get_seg_masks, _do_paste_mask.
    """
    drawn = torch.zeros(size, dtype=torch.bool, device=mask.device)
    spans, places = [], []
    for axis, side in ((0, size[1]), (1, size[0])):
        low, high = box[axis], box[axis + 2]
        first = min(max(int(low) - 1, 0), side)
        span = slice(first, max(first, min(int(high) + 2, side)))
        centers = torch.arange(span.start, span.stop, device=box.device) + 0.5
        spans.append(span)
        places.append((centers - low) / (high - low) * 2 - 1)
    grid = torch.stack(torch.meshgrid(*places, indexing="xy"), dim=2)[None]  # (1, h, w, 2)
    if grid.numel():
        found = functional.grid_sample(mask[None, None], grid, align_corners=False)
        drawn[spans[1], spans[0]] = found[0, 0] >= 0.5
    return drawn
