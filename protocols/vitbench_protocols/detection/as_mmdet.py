"""The differences of mmdetection's proposals from torchvision's, and nothing else.

torchvision's parts do the work; what stands here takes the place of the piece that differs.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection import _utils
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.rpn import RegionProposalNetwork

from vitbench.kit import keyed_uniform, send


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
        every = []
        for each, stride, cell in zip(maps, self.strides, self.cell_anchors, strict=True):
            down, right = (
                torch.arange(0, side * stride, stride, device=each.device, dtype=torch.float32)
                for side in each.shape[-2:]
            )
            corner = torch.stack(torch.meshgrid(right, down, indexing="xy"), dim=2)  # (h, w, 2)
            every.append((corner.repeat(1, 1, 2).view(-1, 1, 4) + cell).view(-1, 4))
        return [torch.cat(every)] * len(images.image_sizes)


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
        matches = torch.where(best < self.high, self.BETWEEN_THRESHOLDS, matches)
        matches = torch.where(best < self.low, self.BELOW_LOW_THRESHOLD, matches)
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
        self.stream = stream
        self.seed, self.positions = 0, [0]  # of the images that come next

    def __call__(self, labels: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return masks of the chosen right and wrong boxes of each image."""
        sizes = [len(each) for each in labels]
        on_host = torch.split(torch.cat(list(labels)).cpu(), sizes)  # one wait for all images
        chosen = [
            self._choose(each, position)
            for each, position in zip(on_host, self.positions, strict=True)
        ]
        device = labels[0].device
        rights, wrongs = (
            torch.split(send(torch.cat(each), device), sizes) for each in zip(*chosen, strict=True)
        )
        return list(rights), list(wrongs)

    def _choose(self, labels: Tensor, position: int) -> tuple[Tensor, Tensor]:
        drawn = int(keyed_uniform(self.seed, self.stream, position, count=1)[0] * 2**32)
        generator = torch.Generator().manual_seed(drawn)
        right = _chosen(labels >= 1, self.most, generator)
        return right, _chosen(labels == 0, self.count - int(right.sum()), generator)


def _chosen(among: Tensor, count: int, generator: torch.Generator) -> Tensor:
    places = torch.where(among)[0]
    order = torch.randperm(len(places), generator=generator)[:count]
    chosen = torch.zeros_like(among)
    chosen[places[order]] = True
    return chosen


class BoxCoder(_utils.BoxCoder):  # type: ignore[misc]
    """Box offsets; a decoded box is limited in how much it shrinks too, not only how it grows."""

    def decode_single(self, rel_codes: Tensor, boxes: Tensor) -> Tensor:
        """Return boxes (N, 4 C) from offsets (N, 4 C) and boxes (N, 4)."""
        codes = rel_codes.view(len(rel_codes), -1, 4)
        corner, far = torch.split(boxes[:, None].to(codes), 2, dim=2)
        side = far - corner
        clip = self.bbox_xform_clip
        shift = torch.stack([codes[..., at] / self.weights[at] for at in (0, 1)], dim=2)
        growth = torch.stack(
            [(codes[..., at] / self.weights[at]).clamp(-clip, clip) for at in (2, 3)], dim=2
        )
        middle = corner + 0.5 * side + shift * side
        half = 0.5 * (growth.exp() * side)
        return torch.cat([middle - half, middle + half], dim=2).flatten(1)


class Proposals(RegionProposalNetwork):  # type: ignore[misc]
    """The region proposal network with L1 in the place of smooth L1."""

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: list[Tensor],
        regression_targets: list[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of objectness and boxes, summed over the images.

        Each image's are means over its sampled anchors.
        """
        rights, wrongs = self.fg_bg_sampler(labels)
        sampled = [right | wrong for right, wrong in zip(rights, wrongs, strict=True)]
        weights = torch.cat([1 / each.sum().clamp(min=1).expand(len(each)) for each in sampled])
        right, counted = (torch.where(torch.cat(each))[0] for each in (rights, sampled))
        missed = functional.l1_loss(
            pred_bbox_deltas[right], torch.cat(regression_targets)[right], reduction="none"
        )
        guessed = functional.binary_cross_entropy_with_logits(
            objectness.flatten()[counted], torch.cat(labels)[counted], reduction="none"
        )
        return (guessed * weights[counted]).sum(), (missed.sum(dim=1) * weights[right]).sum()
