"""mmdetection's box and mask heads, where they differ from torchvision's.

torchvision's parts do the work; what stands here takes the place of the piece that differs.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import roi_align

LEVELS = ("0", "1", "2", "3")  # of the pyramid that RoIs are read from; "pool" is for proposals
FINEST = 56.0  # px: RoIs up to twice this side are read from the finest level

Target = dict[str, Tensor]


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
        """Return what the boxes (R, 4) of each image cover, all one after another.

        Shape (R of all images, D, size, size).
        """
        return self.pool(maps, numbered(boxes))

    def pool(self, maps: Mapping[str, Tensor], rois: Tensor) -> Tensor:
        """Return what regions (R, 5), the number of an image and a box, cover."""
        sides = (rois[:, 3:] - rois[:, 1:3]).clamp(min=0).prod(dim=1).sqrt()
        level = torch.log2(sides / FINEST + 1e-6).floor().clamp(0, len(LEVELS) - 1).long()
        ranked, order = level.sort(stable=True)
        numbers = torch.arange(len(LEVELS), device=level.device)
        starts = torch.searchsorted(ranked, numbers).tolist()  # one wait for all levels
        rois = rois[order]
        pooled = [
            align(maps[name].float(), rois[first:last], self.size, scale=1 / stride)
            for name, stride, first, last in zip(
                LEVELS, self.strides, starts, [*starts[1:], len(rois)], strict=True
            )
        ]
        return torch.cat(pooled)[order.argsort()]


def align(maps: Tensor, rois: Tensor, size: int, *, scale: float) -> Tensor:
    """Return what regions (R, 5), the number of an image and a box, cover of maps (B, D, H, W)."""
    found: Tensor = roi_align(maps, rois, size, scale, sampling_ratio=0, aligned=True)
    return found


class Heads(RoIHeads):  # type: ignore[misc]
    """Box and mask heads: L1 in the place of smooth L1, true masks of ones and zeros.

    torchvision's true masks are interpolated. Losses are summed over the images, each weighing the
    same.
    """

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[Target] | None = None,
    ) -> tuple[list[Target], dict[str, Tensor]]:
        """Return what was found in each image, or, with targets, the losses; the other is empty."""
        if targets is None:
            return self._found(features, proposals, image_shapes), {}
        proposals, objects, labels, offsets = self.select_training_samples(proposals, targets)
        scores, boxes = self._boxes(features, proposals, image_shapes)
        kinds = torch.cat(labels)
        shares = torch.cat(
            [scores.new_full((len(each),), 1 / max(1, len(each))) for each in labels]
        )
        right = torch.where(kinds > 0)[0]
        boxes = boxes.view(len(boxes), scores.shape[1], 4)[right, kinds[right]]
        missed = functional.l1_loss(boxes, torch.cat(offsets)[right], reduction="none").sum(dim=1)
        guessed = functional.cross_entropy(scores, kinds, reduction="none")
        losses = {
            "class": (guessed * shares).sum(),
            "box": (missed * shares[right]).sum(),
            "mask": self._mask_loss(features, proposals, kinds, objects, targets),
        }
        return [], losses

    def _boxes(
        self, features: dict[str, Tensor], proposals: list[Tensor], sizes: object
    ) -> tuple[Tensor, Tensor]:
        pooled = self.box_roi_pool(features, proposals, sizes)
        scores, boxes = self.box_predictor(self.box_head(pooled))
        return scores.float(), boxes.float()

    def _masks(self, features: dict[str, Tensor], rois: Tensor, kinds: Tensor) -> Tensor:
        """Return the logits of the masks of some categories in some regions (R, 5), (R, M, M)."""
        pooled = self.mask_roi_pool.pool(features, rois)
        logits: Tensor = self.mask_predictor(self.mask_head(pooled))
        return logits[torch.arange(len(kinds), device=kinds.device), kinds].float()

    def _mask_loss(
        self,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        kinds: Tensor,
        objects: list[Tensor],
        targets: list[Target],
    ) -> Tensor:
        every, known, first = [], [], 0  # objects are counted on from image to image
        for each, target in zip(objects, targets, strict=True):
            # an image without objects has nothing to point to, and no box is right there
            known.append(target["outlined"][each] if len(target["outlined"]) else each < 0)
            every.append(each + first)
            first += len(target["outlined"])
        chosen = torch.where((kinds > 0) & torch.cat(known))[0]
        rois = numbered(boxes)[chosen]
        logits = self._masks(features, rois, kinds[chosen])
        truth = true_masks(
            same_size([target["masks"] for target in targets], boxes[0].dtype),
            rois[:, 1:],
            torch.cat(every)[chosen],
            logits.shape[-1],
        )
        wrong = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        image = rois[:, 0].long()
        counts = wrong.new_zeros(len(boxes)).index_add(0, image, torch.ones_like(rois[:, 0]))
        return (wrong.mean(dim=(1, 2)) / counts[image]).sum()

    def _found(
        self, features: dict[str, Tensor], proposals: list[Tensor], sizes: list[tuple[int, int]]
    ) -> list[Target]:
        scores, offsets = self._boxes(features, proposals, sizes)
        boxes, scores, labels = self.postprocess_detections(scores, offsets, proposals, sizes)
        masks = self._masks(features, numbered(boxes), torch.cat(labels)).sigmoid()
        parts = torch.split(masks, [len(each) for each in labels])
        found = zip(boxes, scores, labels, parts, strict=True)
        return [
            dict(zip(("boxes", "scores", "labels", "masks"), one, strict=True)) for one in found
        ]


def numbered(boxes: Sequence[Tensor]) -> Tensor:
    """Return the boxes (R, 4) of several images as regions (R of all, 5): image number and box."""
    images = [each.new_full((len(each), 1), at) for at, each in enumerate(boxes)]
    return torch.cat([torch.cat(images), torch.cat(list(boxes))], dim=1)


def same_size(masks: Sequence[Tensor], kind: torch.dtype) -> Tensor:
    """Put masks (n, H, W) of images of several sizes together, (n of all, H, W).

    Smaller ones go on as their last row and column do, so that what is read at their border is the
    same as if they ended there.
    """
    height, width = (max(each.shape[at] for each in masks) for at in (1, 2))
    wider = []
    for each in masks:
        room = (0, width - each.shape[2], 0, height - each.shape[1])
        wide = each.to(kind)[:, None]
        wider.append(functional.pad(wide, room, mode="replicate") if any(room) else wide)
    return torch.cat(wider)[:, 0]


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
