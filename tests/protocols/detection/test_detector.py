"""Shapes and strides from any backbone, and the losses of images by themselves and together."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vitbench import wrap
from vitbench.api import errors, load_backbone, resolve
from vitbench.kit import seeded
from vitbench.models.factory import assemble, find_architecture
from vitbench_protocols.detection import Detection
from vitbench_protocols.detection.building import build_detector
from vitbench_protocols.detection.detector import Detector, alike, padded
from vitbench_protocols.detection.maps import default_layers
from vitbench_protocols.detection.settings import MaskRCNN

NETWORK = MaskRCNN(channels=16, hidden=16, proposals=16)
TINY = Detection(network=NETWORK, drop_path=(0.0, 0.0))
CPU = torch.device("cpu")
MINI = "random:vit_mini_patch8_64"


def detector_on(name: str, **changes: Any) -> Detector:
    backbone = load_backbone(resolve(name), device=CPU)
    protocol = replace(TINY, **changes)
    made: Detector = seeded(lambda: build_detector(protocol, backbone, 3), seed=0)
    return made


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (MINI, {}),
        (MINI, {"adapter": "simple-pyramid"}),
        ("random:vit_tiny_patch16_224", {"layers": (0, 0, 1, 1)}),
        ("random:vit_tiny_patch16_224", {"adapter": "simple-pyramid", "layers": (1,)}),
        ("random:vit_small_patch32_224", {"layers": (0, 0, 1, 1)}),
        ("random:swin_mini_patch4_window7_224", {}),
        ("random:test_resnet", {}),  # five stages, strides 2 to 32
        ("random:test_convnext", {}),
        ("random:test_convnext", {"adapter": "simple-pyramid"}),
        ("random:test_efficientnet", {}),
        ("random:eva02_tiny_patch14_224", {}),
        ("random:eva02_tiny_patch14_224", {"adapter": "simple-pyramid"}),
        ("random:efficientvit_b0", {}),
        ("random:swin_mini_patch4_window7_224", {"adapter": "simple-pyramid"}),
    ],
)
def test_every_backbone_gives_a_pyramid_of_five_strides(name: str, changes: dict[str, Any]) -> None:
    detector = detector_on(name, **changes).eval()
    image = padded(torch.zeros(3, 70, 100))
    assert image.shape == (3, 96, 128)
    with torch.no_grad():
        (maps,) = detector.taps([image[None]], 0, [range(1)])
        pyramid = detector.neck(maps)
        (found,) = detector.detect([torch.zeros(3, 70, 100)])
    assert [tuple(each.shape[1:]) for each in pyramid.values()] == [
        (16, 24, 32),
        (16, 12, 16),
        (16, 6, 8),
        (16, 3, 4),
        (16, 2, 2),
    ]
    assert found["boxes"].shape[1:] == (4,)
    assert found["masks"].shape[1:] == (28, 28)


def test_the_published_blocks_are_tapped() -> None:
    info = load_backbone(resolve("random:vit_tiny_patch16_224"), device=CPU).info
    assert default_layers(info) == (3, 5, 7, 11)
    assert default_layers(replace(info, depth=24)) == (7, 11, 15, 23)


def test_the_levels_of_a_network_with_five_stages_are_its_last_four() -> None:
    info = load_backbone(resolve("random:test_resnet"), device=CPU).info
    assert [stage.stride for stage in info.stages] == [2, 4, 8, 16, 32]
    assert default_layers(info) == (1, 2, 3, 4)


def test_batch_norms_of_the_backbone_keep_their_statistics_and_learn() -> None:
    detector = detector_on("random:test_resnet").train()
    backbone: Any = detector.taps.backbone
    norm = backbone.network.bn1
    before = norm.running_mean.clone()
    losses = detector.losses(IMAGES, TARGETS, 0, range(2))
    torch.autograd.backward(torch.stack(list(losses.values())).sum())
    assert torch.equal(norm.running_mean, before)
    assert norm.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("test_resnet", {"layers": (1, 2, 3, 5)}, "layer 5 does not exist"),
        ("vgg11", {"drop_path": (0.0, 0.1)}, "vgg11 has no stochastic depth"),
        ("cait_xxs24_224", {}, "takes images of 224 x 224 px only"),
        ("beit_base_patch16_224", {}, "can't learn from images of several sizes"),
    ],
)
def test_what_a_network_can_not_do_is_said_before_any_work(
    name: str, changes: dict[str, Any], message: str
) -> None:
    backbone = assemble(find_architecture(name))  # without weights
    with pytest.raises((errors.SettingError, errors.MissingAbility), match=message):
        replace(TINY, **changes).check(backbone)


def test_the_features_of_a_wrapped_network_can_not_be_fine_tuned() -> None:
    backbone = wrap(nn.Conv2d(3, 8, 16, 16), name="stem")
    with pytest.raises(errors.MissingAbility, match="nobody knows its final norm"):
        TINY.check(backbone)


def test_rates_fall_with_depth_in_any_network() -> None:
    detector = detector_on("random:test_convnext")
    shares = replace(TINY.learning, layer_decay=0.5).shares(detector.taps.parameter_layers())
    names = {name for name, _ in detector.named_parameters()}
    assert {f"taps.{name}" for name in shares} <= names
    assert shares["backbone.network.stem.0.weight"] == min(shares.values())
    assert max(shares.values()) == 1


def test_blocks_that_make_no_pyramid_are_refused() -> None:
    backbone = load_backbone(resolve(MINI), device=CPU)
    with pytest.raises(errors.SettingError, match="expected four"):
        replace(TINY, layers=(0, 1)).check(backbone)


def test_the_released_heads_change_attention_and_nothing_else() -> None:
    name = "random:vit_small_patch16_224"
    backbone = load_backbone(resolve(name), device=CPU)
    changed = detector_on(name, heads=8)
    own = detector_on(name)
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first, second = (
            each.eval().taps([image[None]], 0, [range(1)])[0] for each in (changed, own)
        )
    assert not torch.allclose(first[2], second[2], atol=1e-3)
    assert changed.taps.backbone.info.heads == 8
    assert backbone.info.heads == 6
    assert backbone.blocks[0].attn.num_heads == 6  # type: ignore[index,union-attr]
    with pytest.raises(errors.SettingError, match="can't have 5 heads"):
        detector_on(name, heads=5)


def target(*boxes: tuple[float, float, float, float], height: int, width: int) -> dict[str, Tensor]:
    masks = torch.zeros(len(boxes), height, width, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[int(top) : int(bottom), int(left) : int(right)] = 1
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.arange(1, len(boxes) + 1),
        "masks": masks,
        "outlined": torch.ones(len(boxes), dtype=torch.bool),
    }


def scene(height: int, width: int, seed: int) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


IMAGES = [scene(64, 96, 0), scene(80, 64, 1)]
TARGETS = [
    target((8.0, 8.0, 40.0, 44.0), (50.0, 20.0, 90.0, 60.0), height=64, width=96),
    target((4.0, 10.0, 60.0, 70.0), height=80, width=64),
]


def test_the_losses_of_a_batch_are_the_mean_of_those_of_its_images() -> None:
    detector = detector_on(MINI, adapter="simple-pyramid").train()  # no batch normalization
    images = [*IMAGES, scene(60, 90, 2), scene(64, 70, 3)]  # three sizes, two of them padded alike
    targets = [
        *TARGETS,
        target((8.0, 8.0, 89.0, 60.0), height=60, width=90),
        target(height=64, width=70),
    ]
    assert alike(images) == [[0, 2, 3], [1]]
    together = detector.losses(images, targets, 0, range(4, 8))
    alone = [
        detector.losses(images[n : n + 1], targets[n : n + 1], 0, range(4 + n, 5 + n))
        for n in range(4)
    ]
    assert sorted(together) == ["box", "class", "mask", "rpn_box", "rpn_objectness"]
    for name, value in together.items():
        torch.testing.assert_close(value, torch.stack([one[name] for one in alone]).mean())


def test_images_that_are_detected_in_together_get_what_each_gets_alone() -> None:
    detector = detector_on(MINI, network=replace(NETWORK, score=0.01)).eval()
    images = [scene(64, 96, 0), scene(60, 90, 2)]
    with torch.no_grad():
        together = detector.detect(images)
        alone = [detector.detect([image])[0] for image in images]
    for one, other in zip(together, alone, strict=True):
        assert len(one["boxes"])
        for name, value in one.items():
            torch.testing.assert_close(value, other[name], atol=1e-4, rtol=1e-4)


def test_every_loss_has_a_gradient_everywhere() -> None:
    detector = detector_on(MINI).train()
    losses = detector.losses(IMAGES, TARGETS, 0, range(2))
    torch.autograd.backward(torch.stack(list(losses.values())).sum())
    without = [
        name
        for name, parameter in detector.named_parameters()
        if parameter.grad is None and "backbone.norm" not in name
    ]
    assert without == []


def test_losses_under_bfloat16_are_float32_and_nearly_the_same() -> None:
    detector = detector_on(MINI).train()
    with torch.no_grad():
        exact = detector.losses(IMAGES, TARGETS, 0, range(2))
        with torch.autocast("cpu", torch.bfloat16):
            rough = detector.losses(IMAGES, TARGETS, 0, range(2))
    for name, value in rough.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[name], rtol=0.25, atol=0.05)  # other proposals


def test_an_image_without_objects_teaches_background_only() -> None:
    detector = detector_on(MINI).train()
    found = detector.losses(IMAGES[:1], [target(height=64, width=96)], 0, range(1))
    assert {name for name, value in found.items() if float(value.detach()) == 0} == {
        "box",
        "mask",
        "rpn_box",
    }


def test_a_frozen_backbone_is_no_part_of_what_is_trained_or_saved() -> None:
    detector = detector_on(MINI, freeze=True).train()
    assert not any("backbone" in name for name in detector.state_dict())
    losses = detector.losses(IMAGES, TARGETS, 0, range(2))
    torch.autograd.backward(torch.stack(list(losses.values())).sum())
    held = detector.taps._held[0]
    assert not held.training
    assert all(parameter.grad is None for parameter in held.parameters())


def test_drop_path_belongs_to_the_position_and_is_off_when_detecting() -> None:
    detector = detector_on(MINI, adapter="simple-pyramid", drop_path=(0.5, 0.5)).train()
    with torch.no_grad():
        first, again, other = (
            detector.taps([IMAGES[0][None]], 0, [[at]])[0][0] for at in (3, 3, 4)
        )
        detector.eval()
        calm = [detector.taps([IMAGES[0][None]], 0, [[at]])[0][0] for at in (3, 4)]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(calm[0], calm[1])


def test_weights_that_do_not_decay_and_rates_of_layers_are_found_by_name() -> None:
    detector = detector_on(MINI)
    learning = replace(TINY.learning, layer_decay=0.5)
    info = detector.taps.info
    course = learning.course(10, detector.taps.parameter_layers())
    optimizer = course.optimizer(detector)
    groups: dict[int, dict[str, Any]] = {
        id(parameter): group for group in optimizer.param_groups for parameter in group["params"]
    }
    named = {name: groups[id(p)] for name, p in detector.named_parameters()}
    depth = info.depth
    first = named["taps.backbone.blocks.0.attn.qkv.weight"]
    assert (first["share"], first["weight_decay"]) == (0.5**depth, 0.05)
    assert named["taps.backbone.blocks.0.norm1.weight"]["weight_decay"] == 0
    assert named["taps.backbone.pos_embed"]["share"] == 0.5 ** (depth + 1)
    assert named["taps.backbone.pos_embed"]["weight_decay"] == 0
    assert named["taps.adapter.fpn1.0.weight"]["share"] == 1
    assert named["heads.box_head.fc6.bias"]["weight_decay"] == 0.05  # biases decay
