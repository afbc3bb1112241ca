"""Mask R-CNN on feature maps of a backbone, put together from torchvision's parts."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead

from vitbench_protocols.detection.as_mmdet import Anchors, BoxCoder, Matcher, Proposals, Sampler
from vitbench_protocols.detection.maps import Taps
from vitbench_protocols.detection.roi_heads import Heads, Pooler
from vitbench_protocols.detection.settings import MaskRCNN

STRIDES = (4, 8, 16, 32, 64)  # px, of the pyramid's levels
RATIOS = (0.5, 1.0, 2.0)
SCALE = 8  # side of an anchor, in strides
MULTIPLE = 32  # px: images are padded to whole multiples
OFFSETS = (10.0, 10.0, 5.0, 5.0)  # one over the deviations of box offsets
KEPT = {"training": 1000, "testing": 1000}  # proposals of an image


def make_rpn(settings: MaskRCNN) -> Proposals:
    """Return the region proposal network."""
    network = Proposals(
        Anchors(STRIDES, SCALE, RATIOS),
        _FloatRPNHead(settings.channels, len(RATIOS)),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 2000, "testing": 1000},
        post_nms_top_n=KEPT,
        nms_thresh=0.7,
    )
    network.proposal_matcher = Matcher(0.7, 0.3, least=0.3)
    network.fg_bg_sampler = Sampler(256, 0.5, "anchors")
    network.box_coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    return network


def make_heads(settings: MaskRCNN, categories: int) -> Heads:
    """Return the box and mask heads; label 0 is the background."""
    classes = categories + 1
    layers = (settings.channels,) * 4
    box_head = TwoMLPHead(settings.channels * 7 * 7, settings.hidden)
    for layer in (box_head.fc6, box_head.fc7):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    predictor = FastRCNNPredictor(settings.hidden, classes)
    for layer, std in ((predictor.cls_score, 0.01), (predictor.bbox_pred, 0.001)):
        nn.init.normal_(layer.weight, std=std)
        nn.init.zeros_(layer.bias)
    heads = Heads(
        Pooler(STRIDES[:4], 7),
        box_head,
        predictor,
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=settings.proposals,
        positive_fraction=0.25,
        bbox_reg_weights=OFFSETS,
        score_thresh=settings.score,
        nms_thresh=0.5,
        detections_per_img=settings.detections,
        mask_roi_pool=Pooler(STRIDES[:4], 14),
        mask_head=MaskRCNNHeads(settings.channels, layers, 1),
        mask_predictor=MaskRCNNPredictor(settings.channels, settings.channels, classes),
    )
    heads.proposal_matcher = Matcher(0.5, 0.5, least=0.5)
    heads.fg_bg_sampler = Sampler(settings.proposals, 0.25, "proposals")
    heads.box_coder = BoxCoder(OFFSETS)
    return heads


class _FloatRPNHead(RPNHead):  # type: ignore[misc]
    """torchvision's head; boxes are decoded in float32 whatever the passes compute in."""

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return objectness and box offsets of each level."""
        objectness, offsets = super().forward(maps)
        return [each.float() for each in objectness], [each.float() for each in offsets]


class Detector(nn.Module):
    """A backbone, its maps as a pyramid, and Mask R-CNN's heads.

    Every image is padded to whole multiples of 32 px and no further, and weighs the same; images of
    the same padded size pass together. The batch normalization of the maps sees all images of a
    batch. So a batch of images of many sizes gives what one image a GPU gives.

    Args:
        taps: Gives the four maps of each image of a batch.
        neck: Makes the pyramid of an image's maps.
        settings: Of Mask R-CNN.
        categories: How many there are, the background not counted.
    """

    def __init__(self, taps: Taps, neck: nn.Module, settings: MaskRCNN, categories: int) -> None:
        super().__init__()
        self.taps, self.neck = taps, neck
        self.rpn, self.heads = make_rpn(settings), make_heads(settings, categories)

    def losses(
        self, images: Sequence[Tensor], targets: Sequence[dict[str, Tensor]], seed: int,
        positions: range,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Return the five losses, each the mean over the images.

        Args:
            images: Normalized, each (3, H, W) of its own size.
            targets: Of each image: `boxes` (n, 4) corners in px, `labels` (n,) from 1, `masks`
                (n, H, W), and `outlined` (n,), false where the mask is not known.
            seed: Of every draw.
            positions: Of the images in the stream of samples.
        """
        groups = alike(images)
        batches = [torch.stack([padded(images[at]) for at in group]) for group in groups]
        places = [[positions[at] for at in group] for group in groups]
        found: dict[str, list[Tensor]] = {}
        for group, batch, where, maps in zip(
            groups, batches, places, self.taps(batches, seed, places), strict=True
        ):
            for sampler in (self.rpn.fg_bg_sampler, self.heads.fg_bg_sampler):
                sampler.seed, sampler.positions = seed, where
            pyramid, sizes = self.neck(maps), _sizes(batch, [images[at] for at in group])
            truth = [targets[at] for at in group]
            boxes, first = self.rpn(sizes, pyramid, truth)
            _, second = self.heads(pyramid, boxes, sizes.image_sizes, truth)
            named = {
                "rpn_objectness": first["loss_objectness"],
                "rpn_box": first["loss_rpn_box_reg"],
                **second,
            }
            for name, value in named.items():
                found.setdefault(name, []).append(value)
        return {name: torch.stack(sums).sum() / len(images) for name, sums in found.items()}

    def detect(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """Return `boxes` (r, 4), `scores`, `labels` from 1, and `masks` (r, 28, 28) of each image.

        Args:
            images: Normalized, each (3, H, W), of one padded size; boxes are in an image's pixels.
        """
        batch = torch.stack([padded(image) for image in images])
        (maps,) = self.taps([batch], 0, [range(len(images))])
        pyramid, sizes = self.neck(maps), _sizes(batch, images)
        boxes, _ = self.rpn(sizes, pyramid)
        found: list[dict[str, Tensor]]
        found, _ = self.heads(pyramid, boxes, sizes.image_sizes)
        return found


def alike(images: Sequence[Tensor]) -> list[list[int]]:
    """Return the numbers of the images (3, H, W) in groups of one padded size each."""
    groups: dict[tuple[int, int], list[int]] = {}
    for at, image in enumerate(images):
        groups.setdefault(padded_size(image.shape[-2], image.shape[-1]), []).append(at)
    return list(groups.values())


def padded_size(height: int, width: int) -> tuple[int, int]:
    """Return sides as whole multiples of 32 px."""
    return height + -height % MULTIPLE, width + -width % MULTIPLE


def padded(image: Tensor) -> Tensor:
    """Return an image with zeros below and to the right, up to whole multiples of 32 px."""
    height, width = image.shape[-2:]
    down, right = padded_size(height, width)
    return functional.pad(image, (0, right - width, 0, down - height))


def _sizes(batch: Tensor, images: Sequence[Tensor]) -> Any:
    return ImageList(batch, [(image.shape[-2], image.shape[-1]) for image in images])
