"""Networks of timm, small or with few blocks: ours gives the numbers of timm's own call."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vitbench.errors import CheckpointError, MissingAbility, SettingError, StateMismatch
from vitbench.models import timm_names
from vitbench.models.backbone import Stage
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.models.export import save_backbone
from vitbench.models.factory import assemble, build, find_architecture
from vitbench.models.state_dict import check_complete
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_build import conversion_of
from vitbench.models.timm_network import TimmNetwork
from vitbench.models.timm_state import recognize_timm

SHORT = {"depth": 2, "img_size": 64}
PYRAMID = {"depths": (1, 1, 1, 1)}
ANY = {  # of images of any size: name and what timm's builder is told
    "vit_small_patch16_dinov3": SHORT,
    "vit_tiny_patch16_dinov3_qkvb": SHORT,
    "eva02_tiny_patch14_224": {"depth": 2, "img_size": 56},
    "vit_pe_core_tiny_patch16_384": SHORT,
    "vit_small_patch16_rope_224": SHORT,
    "vit_base_patch16_clip_224": SHORT,
    "vit_base_patch16_siglip_224": SHORT,
    "vit_small_patch16_18x2_224": SHORT,
    "vit_base_patch16_gap_224": SHORT,
    "deit_tiny_distilled_patch16_224": SHORT,
    "vitamin_small_224": {"img_size": 64},
    "swinv2_tiny_window8_256": PYRAMID,
    "xcit_nano_12_p8_224": {"depth": 2},
    "test_convnext": {},
    "test_resnet": {},
    "regnetx_002": {},
    "test_efficientnet": {},
    "mobilenetv3_small_050": {},
    "pvt_v2_b0": {},
    "focalnet_tiny_srf": {},
    "davit_tiny": PYRAMID,
    "sequencer2d_s": {"layers": (1, 1, 1, 1)},
    "naflexvit_base_patch16_gap": {"depth": 2},
}
REBUILT = {  # for one size each; timm converts their weights to another
    "beit_base_patch16_224": SHORT,
    "vit_relpos_medium_patch16_224": SHORT,
    "coat_lite_tiny": {},
    "maxvit_rmlp_pico_rw_256": {},
    "efficientvit_m0": {},
}
FIXED = {
    "cait_xxs24_224": {**SHORT, "depth_token_only": 1},
    "hiera_tiny_224": {"stages": (1, 1, 1, 1)},
    "levit_128s": {},
    "pit_ti_224": {},
    "efficientformer_l1": {},
    "volo_d1_224": {},
    "mixer_s32_224": {},
}
Shape = tuple[int, int]


def timms(name: str, options: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    return timm.create_model(name, **options).eval().requires_grad_(False)


def loaded(name: str, options: dict[str, Any], network: Any) -> TimmNetwork:
    side = options.get("img_size")
    native = (side, side) if side else tuple(network.pretrained_cfg["input_size"][1:])
    shape = TimmArchitecture(timm_name=name, image_size=native, options=tuple(options.items()))
    found = recognize_timm({"model": network.state_dict()}, shape, subject=name)
    backbone = assemble(shape)
    check_complete(found.state, backbone.own_state(), subject=name, where=found.where)
    backbone.to_empty(device="cpu")
    backbone.fill(found.state)
    assert isinstance(backbone, TimmNetwork)
    return backbone.eval().requires_grad_(False)


def images(size: Shape) -> Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))


def assert_equal(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-5


def assert_same_features(backbone: TimmNetwork, network: Any, size: Shape) -> None:
    every = tuple(range(backbone.info.depth))
    normed = not type(network).__name__.startswith("Hiera")
    with torch.inference_mode():
        found = backbone(images(size), every)
        maps = network.forward_intermediates(images(size), norm=normed, intermediates_only=True)
        pooled = network.forward_head(network.forward_features(images(size)), pre_logits=True)
        (first,) = backbone(images(size), (0,))
    for index, (features, expected) in enumerate(zip(found, maps, strict=True)):
        assert_equal(features.patches, expected)
        assert features.patches.shape[1] == backbone.info.stage(index).width
        assert features.pooled.shape[1] == backbone.info.pooled_width(index)
    assert_equal(found[-1].pooled, pooled)
    assert_equal(first.patches, maps[0])


@pytest.mark.parametrize(("name", "options"), [*ANY.items(), *REBUILT.items(), *FIXED.items()])
def test_features_are_timms_at_the_native_size(name: str, options: dict[str, Any]) -> None:
    network = timms(name, options)
    backbone = loaded(name, options, network)
    assert backbone.info.fixed_size == (name in FIXED)
    assert_same_features(backbone, network, backbone.info.image_size)


@pytest.mark.parametrize(("name", "options"), ANY.items())
def test_features_are_timms_at_other_sizes(name: str, options: dict[str, Any]) -> None:
    network = timms(name, options)
    backbone = loaded(name, options, network)
    if backbone.network.__dict__.get("dynamic_img_size"):
        network = timm.create_model(name, dynamic_img_size=True, **options).eval()
        network.load_state_dict(timms(name, options).state_dict())
    stride = backbone.info.patch_size
    for size in ((3 * stride, 3 * stride), (2 * stride, 5 * stride)):
        backbone.check_images(*size)
        assert_same_features(backbone, network, size)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of timm's conversion
@pytest.mark.parametrize(("name", "options"), REBUILT.items())
def test_a_network_of_one_size_is_built_again_for_another_as_timm_does(
    name: str, options: dict[str, Any]
) -> None:
    network = timms(name, options)
    backbone = loaded(name, options, network)
    stride = backbone.info.patch_size
    size = (2 * stride, 3 * stride)
    backbone.check_images(*size)
    other = timm.create_model(name, **{**options, "img_size": size}).eval()
    convert = conversion_of(backbone.architecture)
    state = network.state_dict()
    other.load_state_dict(convert(state, other) if convert else state)
    assert_same_features(backbone, other, size)
    assert backbone.map_size(*size, layer=-1) == (2, 3)


def test_what_is_rebuilt_follows_weights_that_change() -> None:
    shape = TimmArchitecture(
        timm_name="beit_base_patch16_224",
        image_size=(64, 64),
        options=(("depth", 1), ("img_size", 64)),
    )
    backbone = build(shape, seed=0).eval().requires_grad_(False)
    fresh = build(shape, seed=1).eval().requires_grad_(False)
    with torch.inference_mode():
        backbone(images((32, 48)))
        backbone.fill(fresh.own_state())
        assert torch.equal(
            backbone(images((32, 48)))[0].patches, fresh(images((32, 48)))[0].patches
        )


def test_a_network_made_in_inference_mode_takes_other_sizes_too() -> None:
    shape = TimmArchitecture(
        timm_name="beit_base_patch16_224",
        image_size=(64, 64),
        options=(("depth", 1), ("img_size", 64)),
    )
    expected = build(shape, seed=0).eval().requires_grad_(False)(images((32, 48)))[0].patches
    with torch.inference_mode():
        found = build(shape, seed=0).eval()(images((32, 48)))[0].patches
    assert torch.equal(found, expected)


def test_a_network_of_one_size_learns_at_one_size() -> None:
    shape = TimmArchitecture(
        timm_name="beit_base_patch16_224",
        image_size=(64, 64),
        options=(("depth", 1), ("img_size", 64)),
    )
    backbone = build(shape, seed=0).eval().requires_grad_(False)
    with pytest.raises(MissingAbility, match="can't learn from images of several sizes"):
        backbone.check_all_sizes(learning=True)
    with pytest.raises(MissingAbility, match="can't learn from images of several sizes"):
        deepcopy(backbone).train()(images((96, 96)))
    copy = backbone.dense_copy(rule="size", image_px=96)
    with torch.no_grad():
        assert_equal(copy(images((96, 96)))[0].patches, backbone(images((96, 96)))[0].patches)
    assert copy.info.image_size == (96, 96)
    copy.train()(images((96, 96)))[0].patches.sum().backward()
    assert all(parameter.requires_grad for parameter in copy.parameters())
    own = {parameter.data_ptr() for parameter in backbone.parameters()}
    assert not own & {parameter.data_ptr() for parameter in copy.parameters()}


@pytest.mark.parametrize(
    "name", ["test_resnet", "regnetx_002", "test_efficientnet", "mobilenetv3_small_050"]
)
def test_convolutional_networks_run_channels_last(name: str) -> None:
    backbone = build(name, seed=0).eval()
    with torch.inference_mode():
        (found,) = backbone(torch.randn(2, 3, 64, 64))
    assert found.patches.is_contiguous(memory_format=torch.channels_last)


def test_attention_is_read_from_the_last_block() -> None:
    ours = build("vit_tiny_patch16_224", seed=0, position_rule="timm").eval()
    shape = TimmArchitecture(timm_name="vit_tiny_patch16_224", image_size=(224, 224))
    timms_own = assemble(shape)
    timms_own.to_empty(device="cpu").eval()
    timms_own.fill(ours.own_state())
    with torch.inference_mode():
        found, expected = timms_own.attention(images((32, 48))), ours.attention(images((32, 48)))
    assert_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("vit_tiny_patch16_dinov3_qkvb", 5), ("test_vit3", 1)],
)
def test_attention_sums_to_one_over_all_tokens(name: str, prefix: int) -> None:
    backbone = build(name, seed=0).eval()
    with torch.inference_mode():
        found = backbone.attention(images((32, 48)))
    assert found.shape[-1] == prefix + 6
    assert torch.allclose(found.sum(-1), torch.ones(()))


def test_a_network_learns_through_activations_in_place() -> None:
    shape = TimmArchitecture(
        timm_name="swinv2_tiny_window8_256", image_size=(64, 64), options=tuple(PYRAMID.items())
    )
    backbone = build(shape, seed=0).train()
    backbone(images((64, 64)))[0].patches.sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext"])
def test_a_network_without_attention_over_the_image_says_so(name: str) -> None:
    backbone = build(name, seed=0).eval()
    with pytest.raises(MissingAbility, match="has no attention over the whole image"):
        backbone.attention(images(backbone.info.image_size))


def test_parameters_are_ordered_by_depth_as_timm_orders_them() -> None:
    found = assemble(find_architecture("test_convnext")).parameter_layers()
    assert found["network.stem.0.weight"] == 0
    depths = [layer for name, layer in found.items() if ".stages." in name]
    assert depths == sorted(depths)
    assert max(depths) > 2


def test_the_blocks_of_a_pyramid_lie_between_0_and_1() -> None:
    backbone = assemble(find_architecture("test_convnext"), drop_path=0.3)
    count: list[int] = []

    def make(branch: int, _rate: float) -> nn.Module:
        count.append(branch)
        return nn.Identity()

    backbone.replace_drop_path(make)
    depths = [backbone.branch_depth(branch) for branch in count]
    assert depths == sorted(depths)
    assert (depths[0], depths[-1]) == (0, 1)


@pytest.mark.parametrize(("name", "options"), FIXED.items())
def test_a_size_that_can_not_be_taken_is_said_before_any_work(
    name: str, options: dict[str, Any]
) -> None:
    native = options.get("img_size", 224)
    shape = TimmArchitecture(
        timm_name=name, image_size=(native, native), options=tuple(options.items())
    )
    backbone = assemble(shape)
    height, width = backbone.info.image_size
    stride = backbone.info.patch_size
    with pytest.raises(MissingAbility, match=f"{name} can't take images of"):
        backbone.check_images(height + stride, width + 2 * stride)
    backbone.check_images(height, width)


def test_a_size_that_only_the_pooling_can_not_take_is_said_before_any_work() -> None:
    options = (("depth", 2), ("img_size", 64))
    shape = TimmArchitecture(timm_name="qwen3_vit_88m_merge", image_size=(64, 64), options=options)
    backbone = assemble(shape)
    backbone.check_images(96, 64)
    with pytest.raises(MissingAbility, match="can't take images of 80 x 64"):  # it merges 2 x 2
        backbone.check_images(80, 64)


def test_what_exceeds_a_multiple_of_the_patch_is_cropped() -> None:
    backbone = build("vit_tiny_patch16_dinov3_qkvb", seed=0).eval()
    wide = images((32, 79))
    with torch.inference_mode():
        (whole,), (cut,) = backbone(wide), backbone(wide[..., :64])
    assert torch.equal(whole.patches, cut.patches)


def test_an_image_smaller_than_a_patch_is_an_error() -> None:
    backbone = build("test_resnet", seed=0).eval()
    with pytest.raises(SettingError, match="smaller than a patch"):
        backbone(images((16, 64)))


def test_raw_layers_are_not_normed_and_pooled_by_the_class_token() -> None:
    backbone = build("vit_tiny_patch16_dinov3_qkvb", seed=0).eval()
    assert isinstance(backbone, TimmNetwork)
    with torch.inference_mode():
        ((raw,), (normed,)) = (backbone(images((32, 32)), norm=norm) for norm in (False, True))
        tokens = backbone.network.norm(raw.patches.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        (mean,) = (raw.patches.mean(dim=(2, 3)),)
    assert_equal(tokens, normed.patches)
    assert not torch.allclose(raw.pooled, normed.pooled)
    assert backbone.info.prefix_tokens == 5
    assert torch.allclose(raw.pooled, mean)  # the network pools the mean of its patches


def test_earlier_layers_of_a_network_with_a_class_token_pool_by_it() -> None:
    backbone = build("vit_tiny_r_s16_p8_224", seed=0).eval()
    assert isinstance(backbone, TimmNetwork)
    image = images((224, 224))
    with torch.inference_mode():
        (features,) = backbone(image, (3,))
        pairs = backbone.network.forward_intermediates(
            image, indices=[3], norm=True, return_prefix_tokens=True, intermediates_only=True
        )
    assert torch.equal(features.pooled, pairs[0][1][:, 0])


def test_stages_have_widths_and_strides() -> None:
    info = assemble(find_architecture("test_convnext")).info
    assert [stage.stride for stage in info.stages] == [4, 8, 16, 32]
    assert info.stage(-1) == Stage(1, 64, 32)
    assert info.image_size == (160, 160)
    wide = assemble(find_architecture("test_efficientnet")).info
    assert (wide.embed_dim, wide.pooled_width(-1), wide.pooled_width(-2)) == (64, 256, 48)


def test_the_same_seed_gives_timms_own_first_weights() -> None:
    one, two, other = (build("test_convnext", seed=seed).own_state() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["stem.0.weight"], other["stem.0.weight"])
    torch.manual_seed(1)
    before = torch.get_rng_state()
    expected = timm.create_model("test_convnext", num_classes=0).state_dict()
    torch.manual_seed(1)
    build("test_convnext", seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], expected[key]) for key in one)


def test_random_weights_load_by_name_and_seed() -> None:
    one, two = resolve("random:test_resnet"), resolve("random:test_resnet?seed=1")
    assert (one.sha256 != two.sha256, one.format, one.position_rule) == (True, "timm", "own")
    assert one.sha256 == resolve("random:test_resnet?seed=0").sha256
    assert load_backbone(one).info.pooled_from == "own"


@pytest.mark.parametrize("place", ["", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
def test_a_state_dict_loads_by_the_name_of_its_architecture(
    place: str, prefix: str, tmp_path: Path
) -> None:
    network = timms("test_convnext", {})
    state = {prefix + key: value for key, value in network.state_dict().items()}
    path = tmp_path / "weights.pth"
    torch.save({place: state} if place else state, path)
    checkpoint = resolve(str(path), arch="test_convnext")
    assert len(checkpoint.accounting.ignored) == 2  # the classifier's weight and bias
    assert checkpoint.accounting.used == len(state) - 2
    backbone = load_backbone(checkpoint)
    with torch.inference_mode():
        (found,) = backbone(images((160, 160)))
        expected = network.forward_head(
            network.forward_features(images((160, 160))), pre_logits=True
        )
    assert_equal(found.pooled, expected)


def test_keys_left_over_and_not_filled_are_named(tmp_path: Path) -> None:
    state = timms("test_resnet", {}).state_dict()
    state["extra.weight"] = state.pop("layer1.0.conv1.weight")
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(StateMismatch, match=r"not filled: layer1\.0\.conv1\.weight"):
        resolve(str(tmp_path / "weights.safetensors"), arch="test_resnet")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file(timms("test_resnet", {}).state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(StateMismatch, match="nothing in it has the names of a test_vit3"):
        resolve(str(tmp_path / "weights.safetensors"), arch="test_vit3")


def test_other_libraries_names_are_converted_by_timm(tmp_path: Path) -> None:
    network = timms("test_convnext", {})
    state = {
        key.replace("stem.", "downsample_layers.0.")
        .replace(".blocks.", ".")
        .replace("conv_dw", "dwconv")
        .replace("mlp.fc1", "pwconv1")
        .replace("mlp.fc2", "pwconv2")
        .replace("head.fc", "head")
        .replace("head.norm", "norm"): value
        for key, value in network.state_dict().items()
    }
    for number in (1, 2, 3):
        for part in ("0.weight", "0.bias", "1.weight", "1.bias"):
            key = f"stages.{number}.downsample.{part}"
            state[f"downsample_layers.{number}.{part}"] = state.pop(key)
    torch.save({"model": state}, tmp_path / "official.pth")
    checkpoint = resolve(str(tmp_path / "official.pth"), arch="test_convnext")
    expected = {k: v for k, v in network.state_dict().items() if not k.startswith("head.fc")}
    assert checkpoint.sha256 == resolve_of(expected, tmp_path).sha256


def resolve_of(state: dict[str, Tensor], folder: Path) -> Any:
    save_file(state, folder / "timm.safetensors")
    return resolve(str(folder / "timm.safetensors"), arch="test_convnext")


def test_batch_norms_keep_their_statistics(tmp_path: Path) -> None:
    network = timms("test_resnet", {})
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.get_buffer("running_mean").uniform_(-0.1, 0.1)
                module.get_buffer("running_var").uniform_(0.5, 2.0)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    backbone = load_backbone(resolve(str(tmp_path / "weights.pth"), arch="test_resnet"))
    assert isinstance(backbone, TimmNetwork)
    assert_same_features(backbone, network, (160, 160))
    backbone.reset_weights(0)
    assert torch.equal(backbone.network.bn1.running_var, torch.ones(32))


def test_a_backbone_is_written_and_read_again(tmp_path: Path) -> None:
    backbone = build("test_vit3", seed=3).eval().requires_grad_(False)
    save_backbone(backbone, tmp_path / "backbone.safetensors", method="mine")
    again = load_backbone(resolve(str(tmp_path)))
    assert again.architecture == backbone.architecture
    with torch.inference_mode():
        assert torch.equal(again(images((96, 64)))[0].pooled, backbone(images((96, 64)))[0].pooled)


@pytest.mark.parametrize("name", ["test_convnext.r160_in1k", "test_vit.r160_in1k"])
def test_what_timm_fetches_is_taken_as_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def create(wanted: str, *, pretrained: bool, num_classes: int) -> Any:
        asked.append((wanted, pretrained))
        torch.manual_seed(5)
        return timm.create_model(wanted, num_classes=num_classes)

    monkeypatch.setattr(timm_names, "create_model", create)
    checkpoint = resolve(f"timm:{name}")
    assert asked == [(name, True)]
    assert checkpoint.architecture.name == name.partition(".")[0]
    assert checkpoint.mean == (0.5, 0.5, 0.5)
    assert load_backbone(checkpoint).info.image_size == (160, 160)


def test_what_timm_can_not_give_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(*_: object, **__: object) -> Any:
        raise RuntimeError("Unknown model")

    monkeypatch.setattr(timm_names, "create_model", create)
    with pytest.raises(CheckpointError, match="timm can't give 'resnet51'"):
        resolve("timm:resnet51")


def test_drop_paths_are_replaced_in_the_order_of_the_network() -> None:
    backbone = assemble(find_architecture("test_convnext"), drop_path=0.3)
    asked: list[tuple[int, float]] = []

    def make(branch: int, rate: float) -> nn.Module:
        asked.append((branch, round(rate, 3)))
        return nn.Identity()

    backbone.replace_drop_path(make)
    backbone.replace_drop_path(make)  # again: a teacher's are taken out of a copy
    half = len(asked) // 2
    assert asked[:half] == asked[half:]
    assert [rate for _, rate in asked[:half]] == sorted(rate for _, rate in asked[:half])
    assert asked[half - 1] == (half - 1, 0.3)


def test_a_network_built_without_stochastic_depth_can_get_it() -> None:
    backbone = assemble(find_architecture("test_resnet"))
    backbone.check_drop_path()
    count: list[int] = []

    def make(branch: int, _rate: float) -> nn.Module:
        count.append(branch)
        return nn.Dropout(0.5)

    backbone.replace_drop_path(make)
    network: Any = backbone.network
    assert isinstance(network.layer4[0].drop_path, nn.Dropout)
    assert backbone.branch_depth(count[-1]) == 1


def test_a_network_without_stochastic_depth_says_so() -> None:
    with pytest.raises(MissingAbility, match="vgg11 has no stochastic depth"):
        assemble(find_architecture("vgg11"), drop_path=0.1)


def test_a_copy_learns_and_the_lent_one_does_not() -> None:
    lent = build("test_convnext", seed=0).eval().requires_grad_(False)
    copy = lent.dense_copy(rule="size", image_px=64)
    copy.train()(images((64, 64)))[0].patches.square().mean().backward()
    assert all(parameter.requires_grad for parameter in copy.parameters())
    assert not any(parameter.requires_grad for parameter in lent.parameters())
    with pytest.raises(SettingError, match="can't have 7 heads"):
        lent.dense_copy(rule="size", heads=7)
