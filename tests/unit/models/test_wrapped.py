"""Any module that gives tokens or maps becomes a backbone; what it gives is found, not guessed."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from vitbench.errors import CheckpointError, MissingAbility, SettingError, UnknownName
from vitbench.models.checkpoint import checkpoint_of, load_backbone
from vitbench.models.identity import identify_weights
from vitbench.models.wrapped import wrap

PATCH = 16


class Tokens(nn.Module):
    """A stand-in for a ViT: tokens of patches after some that are none, in any packing."""

    def __init__(
        self,
        prefix: int = 1,
        patch: int = PATCH,
        pack: Callable[[Tensor], Any] = lambda tokens: tokens,
        only: int | None = None,
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 12, patch, patch)
        self.prefix = nn.Parameter(torch.randn(1, prefix, 12))
        self.pack, self.only = pack, only

    def forward(self, images: Tensor) -> Any:
        assert self.only in (None, images.shape[-1]), "another size"
        patches = self.embed(images).flatten(2).transpose(1, 2)
        return self.pack(torch.cat([self.prefix.expand(len(images), -1, -1), patches], dim=1))


def run(backbone: nn.Module, height: int = 64, width: int = 96) -> Any:
    images = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return images, backbone.eval()(images)[-1]


@pytest.mark.parametrize(("prefix", "patch"), [(0, 16), (1, 16), (5, 14), (3, 8)])
def test_patches_and_the_tokens_before_them_are_told_apart(prefix: int, patch: int) -> None:
    network = Tokens(prefix, patch)
    backbone = wrap(network)
    assert (backbone.info.patch_size, backbone.info.prefix_tokens) == (patch, prefix)
    assert not backbone.info.fixed_size
    images, found = run(backbone, 4 * patch, 6 * patch)
    torch.testing.assert_close(found.patches, network.embed(images))
    expected = network.prefix[:, 0].expand(2, -1) if prefix else found.patches.mean(dim=(2, 3))
    torch.testing.assert_close(found.pooled, expected)


@pytest.mark.parametrize(("prefix", "patch"), [(0, 16), (1, 16), (5, 14), (1, 32)])
def test_a_network_of_one_size_is_read_from_that_size_alone(prefix: int, patch: int) -> None:
    backbone = wrap(Tokens(prefix, patch, only=224))
    assert (backbone.info.patch_size, backbone.info.prefix_tokens) == (patch, prefix)
    assert backbone.info.fixed_size
    with pytest.raises(MissingAbility, match="can't take images of"):
        run(backbone)
    with pytest.raises(MissingAbility):
        backbone.check_images(64, 64)
    backbone.check_images(224, 224)


@pytest.mark.parametrize(
    ("pack", "pooled_from"),
    [
        (
            lambda t: {"x_norm_patchtokens": t[:, 1:], "x_norm_clstoken": t[:, 0], "mask": None},
            "own",
        ),
        (lambda t: {"last_hidden_state": t, "hidden_states": (t, t)}, "cls_token"),
        (lambda t: {"last_hidden_state": t, "pooler_output": t[:, 0]}, "own"),
        (lambda t: (t[:, 0], t[:, 1:]), "own"),
        (lambda t: (t[:, 1:], t[:, 0]), "own"),
        (lambda t: [t], "cls_token"),
    ],
)
def test_dicts_and_tuples_are_read(pack: Callable[[Tensor], Any], pooled_from: str) -> None:
    network = Tokens(pack=pack)
    backbone = wrap(network)
    images, found = run(backbone)
    assert backbone.info.pooled_from == pooled_from
    torch.testing.assert_close(found.patches, network.embed(images))
    torch.testing.assert_close(found.pooled, network.prefix[:, 0].expand(2, -1))


class Pyramid(nn.Module):
    """Maps of stride 8, 16 and 32."""

    def __init__(self, channels_last: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 8, 8)
        self.down = nn.ModuleList([nn.Conv2d(4, 8, 2, 2), nn.Conv2d(8, 16, 2, 2)])
        self.channels_last = channels_last

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [self.stem(images)]
        for conv in self.down:
            maps.append(conv(maps[-1]))
        return [x.permute(0, 2, 3, 1) for x in maps] if self.channels_last else maps


@pytest.mark.parametrize("channels_last", [False, True])
def test_several_maps_are_layers(channels_last: bool) -> None:
    network = Pyramid(channels_last)
    backbone = wrap(network)
    stages = [(stage.width, stage.stride) for stage in backbone.info.stages]
    assert stages == [(4, 8), (8, 16), (16, 32)]
    images = torch.randn(1, 3, 64, 128)
    first, last = backbone(images, (0, -1))
    torch.testing.assert_close(first.patches, network.stem(images))
    assert last.patches.shape == (1, 16, 2, 4)
    torch.testing.assert_close(last.pooled, last.patches.mean(dim=(2, 3)))


def test_a_layer_inside_the_network_is_taken_by_its_name() -> None:
    network = torchvision.models.resnet18()
    backbone = wrap(network, tokens="layer4")
    assert (backbone.info.patch_size, backbone.info.embed_dim) == (32, 512)
    images, found = run(backbone)
    x = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    expected = network.layer4(network.layer3(network.layer2(network.layer1(x))))
    torch.testing.assert_close(found.patches, expected)
    stages = wrap(network, tokens=("layer1", "layer2", "layer3", "layer4")).info.stages
    assert [stage.stride for stage in stages] == [4, 8, 16, 32]


@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "convnext_atto"]
)
def test_a_network_of_timm_gives_what_its_forward_features_gives(name: str) -> None:
    network: Any = timm.create_model(name, num_classes=7).eval()
    backbone = wrap(network)
    assert backbone.info.mean == tuple(network.pretrained_cfg["mean"])
    images, found = run(backbone, 224, 224)
    expected = network.forward_features(images)
    if expected.ndim == 3:
        expected = expected[:, 1:].transpose(1, 2).unflatten(2, (14, 14))
    elif name.startswith("swin"):
        expected = expected.permute(0, 3, 1, 2)
    torch.testing.assert_close(found.patches, expected)


def test_what_was_found_is_printed() -> None:
    text = repr(wrap(Tokens(5, 14)))
    assert "14 px per token" in text
    assert "5 prefix tokens" in text


def test_a_module_that_gives_logits_is_told_which_layer_to_take() -> None:
    with pytest.raises(CheckpointError, match="gives no tokens and no map") as raised:
        wrap(torchvision.models.resnet18())
    assert "(2, 1000)" in raised.value.found
    assert "tokens='layer4'" in raised.value.hint
    wrap(torchvision.models.resnet18(), tokens="layer4")  # the hint works


def test_a_wrong_patch_size_is_told_the_shapes_and_the_right_one() -> None:
    with pytest.raises(CheckpointError, match="197 tokens, which are no grid") as raised:
        wrap(Tokens(), patch_size=14)
    assert "14: 16 x 16 = 256 patches" in raised.value.expected
    assert raised.value.found == "(2, 197, 12)"
    assert raised.value.hint == "patch_size=16, prefix_tokens=1"
    assert wrap(Tokens(), patch_size=16, prefix_tokens=1).info.grid == (14, 14)


def test_tokens_that_are_no_grid_are_refused() -> None:
    with pytest.raises(CheckpointError, match="150 tokens, which are no grid"):
        wrap(Tokens(pack=lambda tokens: tokens[:, :150], only=224))


def test_an_unknown_normalization_names_those_that_there_are() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'imagenet'\?") as raised:
        wrap(Tokens(), normalization="imagenet1k")
    assert "clip" in raised.value.expected
    with pytest.raises(SettingError, match="no pair") as out:
        wrap(Tokens(), normalization=((123.7, 116.3, 103.5), (58.4, 57.1, 57.4)))
    assert "divided by 255" in out.value.hint


@pytest.mark.parametrize(
    ("told", "mean", "said"),
    [
        (None, 0.485, "ImageNet default"),
        ("half", 0.5, "flag"),
        (((0.1, 0.2, 0.3), (0.5, 0.5, 0.5)), 0.1, "flag"),
        ({"mean": [0.4, 0.4, 0.4], "std": [1, 1, 1]}, 0.4, "flag"),
    ],
)
def test_the_normalization_is_kept_with_who_said_it(told: Any, mean: float, said: str) -> None:
    checkpoint = checkpoint_of(wrap(Tokens(), normalization=told))
    assert (checkpoint.mean[0], checkpoint.normalization_from) == (mean, said)


def test_several_tensors_of_which_none_stands_out_are_listed() -> None:
    both = lambda tokens: {"a": tokens, "b": tokens[:, 1:]}  # noqa: E731
    with pytest.raises(CheckpointError, match="several tensors") as raised:
        wrap(Tokens(pack=both))
    assert "a (2, 197, 12), b (2, 196, 12)" in raised.value.found
    assert wrap(Tokens(pack=both), tokens="b").info.prefix_tokens == 0
    assert wrap(Tokens(pack=both), tokens=lambda found: found["a"]).info.prefix_tokens == 1


def test_a_key_that_is_not_there_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no output and no layer 'layer9'"):
        wrap(Tokens(), tokens="layer9")


def test_a_network_that_fails_says_why() -> None:
    with pytest.raises(CheckpointError, match="can't take a batch") as raised:
        wrap(Tokens(only=96))
    assert "another size" in raised.value.found
    assert wrap(Tokens(only=96), image_size=96).info.image_size == (96, 96)


def test_the_module_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 16, 16), nn.BatchNorm2d(4)).train()
    network[0].eval()
    before = deepcopy(network.state_dict())
    loaded = load_backbone(checkpoint_of(wrap(network)))
    assert [module.training for module in network.modules()] == [True, False, True]
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert not any(module.training for module in loaded.modules())
    assert not any(value.requires_grad for value in loaded.parameters())
    assert all(value.requires_grad for value in network.parameters())


def identity(network: nn.Module, **told: Any) -> str:
    backbone = wrap(network, **told)
    return identify_weights(backbone, checkpoint_of(backbone).sha256).digest


def test_the_identity_is_the_tensors_and_the_code() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 16, 16), nn.LayerNorm([14, 14]))
    sizes = {"image_size": 224}
    own = identity(network, **sizes)
    assert identity(deepcopy(network), name="another name", **sizes) == own
    changed: Any = deepcopy(network)
    with torch.no_grad():
        changed[0].bias.add_(1e-3)
    assert identity(changed, **sizes) != own
    eps: Any = deepcopy(network)
    eps[1].eps = 1e-3
    assert identity(eps, **sizes) != own
    assert identity(network, tokens="0", **sizes) != own


def test_the_source_of_code_without_a_version_counts() -> None:
    code = wrap(Tokens()).code
    assert code.code.endswith("Tokens")
    assert code.version == ""
    assert len(code.source) == 64
    vit = wrap(timm.create_model("vit_tiny_patch16_224")).code
    assert (vit.version, vit.source) == (timm.__version__, "")


def test_buffers_that_no_state_dict_holds_count() -> None:
    networks = [Tokens(), Tokens()]
    networks[1].load_state_dict(networks[0].state_dict())
    for network, value in zip(networks, (1.0, 2.0), strict=True):
        network.register_buffer("table", torch.full((1,), value), persistent=False)
    assert identity(networks[0]) != identity(networks[1])


def test_random_weights_follow_from_the_seed() -> None:
    backbone = wrap(torchvision.models.resnet18(), tokens="layer4")
    states = []
    for seed in (0, 0, 1):
        backbone.reset_weights(seed)
        states.append(deepcopy(backbone.own_state()))
    key = "network.layer1.0.conv1.weight"
    assert torch.equal(states[0][key], states[1][key])
    assert not torch.equal(states[0][key], states[2][key])
