"""Each difference to torchvision: what ours gives by hand, and that torchvision's gives another."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection import _utils, roi_heads
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import MultiScaleRoIAlign

from vitbench_protocols.detection import pasting
from vitbench_protocols.detection.as_mmdet import (
    Anchors,
    BoxCoder,
    Matcher,
    Sampler,
)
from vitbench_protocols.detection.detector import RATIOS, SCALE, STRIDES, make_heads, make_rpn
from vitbench_protocols.detection.pasting import paste
from vitbench_protocols.detection.roi_heads import Pooler, align, same_size, true_masks
from vitbench_protocols.detection.settings import MaskRCNN

SMALL = MaskRCNN(channels=8, hidden=8, proposals=16)


def anchors_of(generator: Any, side: int) -> Tensor:
    image = ImageList(torch.zeros(1, 3, side, side), [(side, side)])
    maps = [torch.zeros(1, 1, -(-side // stride), -(-side // stride)) for stride in STRIDES]
    (found,) = generator(image, maps)
    assert isinstance(found, Tensor)
    return found


THEIRS = AnchorGenerator(tuple((SCALE * stride,) for stride in STRIDES), (RATIOS,) * 5)


def test_anchors_are_not_rounded() -> None:
    height, width = 32 * math.sqrt(0.5), 32 / math.sqrt(0.5)
    expected = torch.tensor([-width / 2, -height / 2, width / 2, height / 2])
    torch.testing.assert_close(anchors_of(Anchors(STRIDES, SCALE, RATIOS), 128)[0], expected)
    assert not torch.allclose(anchors_of(THEIRS, 128)[0], expected)


def test_anchors_stand_at_fixed_strides_where_the_coarsest_grid_is_rounded_up() -> None:
    ours, theirs = anchors_of(Anchors(STRIDES, SCALE, RATIOS), 96), anchors_of(THEIRS, 96)
    assert len(ours) == 3 * (24**2 + 12**2 + 6**2 + 3**2 + 2**2)
    center = (ours[-1, :2] + ours[-1, 2:]) / 2
    assert center.tolist() == [64.0, 64.0]
    assert ((theirs[-1, :2] + theirs[-1, 2:]) / 2).tolist() == [48.0, 48.0]


def test_the_best_boxes_of_an_object_need_an_overlap() -> None:
    overlaps = torch.tensor([[0.25, 0.1, 0.0], [0.0, 0.35, 0.2]])
    ours = Matcher(0.7, 0.3, least=0.3)(overlaps)
    theirs = _utils.Matcher(0.7, 0.3, allow_low_quality_matches=True)(overlaps)
    assert ours.tolist() == [-1, 1, -1]  # the first object stays without a box
    assert theirs.tolist() == [0, 1, -1]


def test_the_best_box_of_an_object_is_its_own_even_if_it_overlaps_another_more() -> None:
    overlaps = torch.tensor([[0.9, 0.8], [0.6, 0.1]])
    assert Matcher(0.7, 0.3, least=0.3)(overlaps).tolist() == [1, 0]
    theirs = _utils.Matcher(0.7, 0.3, allow_low_quality_matches=True)(overlaps)
    assert theirs.tolist() == [0, 0]


def test_boxes_between_the_limits_are_left_out() -> None:
    overlaps = torch.tensor([[0.95, 0.7, 0.69, 0.3, 0.29]])
    assert Matcher(0.7, 0.3, least=0.3)(overlaps).tolist() == [0, 0, -2, -2, -1]


def test_limits_of_the_heads_are_the_published_ones() -> None:
    rpn, heads = make_rpn(SMALL), make_heads(SMALL, 3)
    for matcher, expected in (
        (rpn.proposal_matcher, (0.7, 0.3, 0.3)),
        (heads.proposal_matcher, (0.5, 0.5, 0.5)),
    ):
        assert (matcher.high, matcher.low, matcher.least) == expected
    assert (rpn.fg_bg_sampler.count, rpn.fg_bg_sampler.most) == (256, 128)
    whole = make_heads(MaskRCNN(), 80)
    assert (whole.fg_bg_sampler.count, whole.fg_bg_sampler.most) == (512, 128)
    assert (whole.score_thresh, whole.nms_thresh, whole.detections_per_img) == (0.05, 0.5, 100)
    assert (rpn._pre_nms_top_n, rpn._post_nms_top_n["training"], rpn.nms_thresh) == (
        {"training": 2000, "testing": 1000},
        1000,
        0.7,
    )


def test_samples_follow_the_place_in_the_stream_not_the_global_generator() -> None:
    labels = torch.cat([torch.ones(40), torch.zeros(100), -torch.ones(20)])
    sampler = Sampler(32, 0.25, "anchors")
    found = []
    for position in (0, 1, 0):
        sampler.seed, sampler.positions = 7, [position]
        torch.manual_seed(position)
        (right,), (wrong,) = sampler([labels])
        assert int(right.sum()) == 8
        assert int(wrong.sum()) == 24
        assert bool((labels[right] == 1).all())
        assert bool((labels[wrong] == 0).all())
        found.append(torch.cat([torch.where(right)[0], torch.where(wrong)[0]]))
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])


def test_too_few_right_boxes_are_made_up_by_wrong_ones() -> None:
    sampler = Sampler(32, 0.25, "anchors")
    (right,), (wrong,) = sampler([torch.cat([torch.ones(3), torch.zeros(100)])])
    assert (int(right.sum()), int(wrong.sum())) == (3, 29)


def test_a_decoded_box_shrinks_by_a_limit() -> None:
    box, offsets = torch.tensor([[0.0, 0.0, 100.0, 100.0]]), torch.tensor([[0.0, 0.0, -90.0, 0.0]])
    weights = (1.0, 1.0, 5.0, 5.0)
    (left, _, right, _) = BoxCoder(weights).decode_single(offsets, box)[0].tolist()
    assert right - left == pytest.approx(100 * 16 / 1000)
    theirs = _utils.BoxCoder(weights).decode_single(offsets, box)[0]
    assert float(theirs[2] - theirs[0]) < 1e-3
    grown = BoxCoder(weights).decode_single(-offsets, box)
    assert torch.equal(grown, _utils.BoxCoder(weights).decode_single(-offsets, box))


def test_anchor_boxes_are_learned_by_l1() -> None:
    rpn = make_rpn(SMALL)
    labels = torch.tensor([1.0, 0.0, -1.0, 0.0])
    offsets = torch.tensor([[0.05, -0.5, 2.0, 0.0]] * 4)
    logits = torch.tensor([[0.0], [2.0], [9.0], [0.0]])
    found = rpn.compute_loss(logits, offsets, [labels], [torch.zeros(4, 4)])
    assert float(found[1]) == pytest.approx(2.55 / 3)  # one right anchor, three that count
    expected = (2 * math.log(2) + math.log(1 + math.exp(2))) / 3
    assert float(found[0]) == pytest.approx(expected)
    theirs = RegionProposalNetwork.compute_loss(
        rpn_with(rpn), logits, offsets, [labels], [torch.zeros(4, 4)]
    )
    assert float(theirs[1]) != pytest.approx(2.55 / 3, abs=1e-3)


def rpn_with(rpn: Any) -> Any:
    rpn.fg_bg_sampler = _utils.BalancedPositiveNegativeSampler(256, 0.5)
    return rpn


def pyramid(channels: int = 1) -> dict[str, Tensor]:
    """Return maps whose values are the column's middle in px."""
    levels = {}
    for name, stride in zip("0123", STRIDES[:4], strict=True):
        side = 128 // stride
        columns = (torch.arange(side) + 0.5) * stride
        levels[name] = columns.expand(1, channels, side, side).clone()
    return levels


def test_rois_are_aligned_to_the_middles_of_pixels() -> None:
    box = torch.tensor([[20.0, 20.0, 48.0, 48.0]])
    found = Pooler(STRIDES[:4], 7)(pyramid(), [box], None)
    expected = 20 + (torch.arange(7) + 0.5) * 4
    torch.testing.assert_close(found[0, 0, 0], expected)
    theirs = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)(pyramid(), [box], [(128, 128)])
    assert float((theirs[0, 0, 0] - expected).abs().min()) > 1  # half a pixel of the map


def test_a_roi_is_read_from_the_level_of_its_size_and_with_as_many_samples_as_it_has_pixels() -> (
    None
):
    levels = {name: torch.full_like(each, float(name)) for name, each in pyramid().items()}
    sides = torch.tensor([20.0, 111.0, 113.0, 225.0, 500.0])
    boxes = torch.stack([sides * 0, sides * 0, sides, sides], dim=1)
    found = Pooler(STRIDES[:4], 7)(levels, [boxes], None)
    assert found[:, 0, 0, 0].tolist() == [0.0, 0.0, 1.0, 2.0, 3.0]
    noise = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    box = torch.tensor([[0.0, 0.0, 0.0, 64.0, 64.0]])
    expected = functional.avg_pool2d(noise, 16)  # a bin of 16 px: 256 samples, in every middle
    torch.testing.assert_close(align(noise, box, 4, scale=1.0), expected)


def test_true_masks_are_ones_and_zeros() -> None:
    mask = torch.zeros(1, 16, 16)
    mask[:, :, :7] = 1
    box = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    found = true_masks(mask, box, torch.zeros(1, dtype=torch.int64), 4)
    assert found[0, 0].tolist() == [1.0, 1.0, 0.0, 0.0]  # 7 of 8 columns make a one
    theirs = roi_heads.project_masks_on_boxes(mask, box, torch.zeros(1, dtype=torch.int64), 4)
    assert set(theirs.unique().tolist()) - {0.0, 1.0}


def test_masks_are_drawn_where_the_box_is_not_at_whole_pixels() -> None:
    mask = torch.ones(1, 28, 28)
    box = torch.tensor([[2.6, 3.0, 7.6, 6.0]])
    (found,) = paste(mask, box, (10, 12))
    expected = torch.zeros(10, 12, dtype=torch.bool)
    expected[3:6, 3:8] = True  # middles from 3.5 to 7.5
    assert torch.equal(found, expected)
    theirs = roi_heads.paste_masks_in_image(mask[None], box, (10, 12))[0, 0] >= 0.5
    assert not torch.equal(theirs, expected)


def test_masks_outside_and_boxes_without_area_draw_nothing() -> None:
    boxes = torch.tensor([[20.0, 3.0, 30.0, 6.0], [4.0, 3.0, 4.0, 3.0]])
    assert not paste(torch.ones(2, 28, 28), boxes, (10, 12)).any()


def test_masks_that_are_drawn_at_once_are_those_of_one_after_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = torch.Generator().manual_seed(0)
    masks = torch.rand(5, 28, 28, generator=random)
    corners = torch.rand(5, 2, generator=random) * 20
    boxes = torch.cat([corners, corners + 30 * torch.rand(5, 2, generator=random)], dim=1)
    alone = torch.cat([paste(masks[n, None], boxes[n, None], (40, 44)) for n in range(5)])
    monkeypatch.setattr(pasting, "at_once", lambda *_: 3)
    assert torch.equal(paste(masks, boxes, (40, 44)), alone)
    assert alone.any()


def test_masks_of_images_of_other_sizes_are_read_at_their_border_as_by_themselves() -> None:
    small, large = torch.zeros(1, 20, 30), torch.ones(1, 32, 32)
    small[:, 10:] = 1
    together = same_size([small, large], torch.float32)
    box, first = torch.tensor([[3.0, 5.0, 30.0, 20.0]]), torch.tensor([0])
    alone = true_masks(small, box, first, 28)
    assert torch.equal(true_masks(together, box, first, 28), alone)


def test_box_heads_learn_by_l1_over_all_boxes_and_masks_where_they_are_known() -> None:
    heads = make_heads(SMALL, 2)
    maps = {
        name: torch.zeros(1, 8, 128 // stride, 128 // stride)
        for name, stride in zip("0123", STRIDES[:4], strict=True)
    }
    boxes = torch.tensor([[10.0, 10.0, 50.0, 50.0], [60.0, 60.0, 100.0, 110.0]])
    target = {
        "boxes": boxes,
        "labels": torch.tensor([1, 2]),
        "masks": torch.zeros(2, 128, 128),
        "outlined": torch.tensor([True, False]),
    }
    for layer in (heads.box_predictor.cls_score, heads.box_predictor.bbox_pred):
        torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(heads.mask_predictor.mask_fcn_logits.weight)
    torch.nn.init.zeros_(heads.mask_predictor.mask_fcn_logits.bias)
    moved = torch.tensor([[12.0, 10.0, 52.0, 50.0], [0.0, 0.0, 5.0, 5.0]])
    with torch.no_grad():
        _, losses = heads(maps, [moved], [(128, 128)], [target])
    # four boxes: the moved one and both objects are right, one is background
    assert float(losses["class"]) == pytest.approx(math.log(3))
    assert float(losses["box"]) == pytest.approx(10 * 2 / 40 / 4)  # a shift of 2 px in 40
    assert float(losses["mask"]) == pytest.approx(math.log(2))
    none = {**target, "outlined": torch.tensor([False, False])}
    with torch.no_grad():
        _, losses = heads(maps, [moved], [(128, 128)], [none])
    assert float(losses["mask"]) == 0
