import pytest

from vitbench.errors import StateMismatch, UnknownName
from vitbench.models.architecture import Architecture, infer, parse_architecture
from vitbench.models.factory import find_architecture
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_backbone import TimmBackbone
from vitbench.models.timm_names import named_by_timm


def vit(arch: str) -> Architecture:
    found = find_architecture(arch)
    assert isinstance(found, Architecture)
    return found


def shapes_of(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    state = TimmBackbone(architecture).state_dict()
    return {key: tuple(value.shape) for key, value in state.items()}


def test_our_names_say_size_patch_and_image() -> None:
    found = vit("vit_mini_patch8_64")
    assert (found.embed_dim, found.depth, found.heads) == (128, 6, 4)
    assert (found.patch_size, found.grid, found.mlp_dim) == (8, (8, 8), 512)


def test_our_names_and_timm_agree() -> None:
    for arch in ("vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch8_224"):
        assert parse_architecture(arch) == named_by_timm(arch)


def test_timm_says_the_heads_of_its_own_names() -> None:
    found = vit("vit_small_patch14_reg4_dinov2")
    assert (found.heads, found.registers, found.prefix_positions) == (6, 4, False)
    assert (found.grid, found.layer_scale) == ((37, 37), True)


@pytest.mark.parametrize(
    "arch",
    ["vit_smal_patch16_224", "resnet51", "vit_tiny_patch16_8", "swin_tinny_patch4_window7_224"],
)
def test_an_unknown_name_is_an_error(arch: str) -> None:
    with pytest.raises(UnknownName, match=arch):
        find_architecture(arch)


@pytest.mark.parametrize(
    "arch",
    ["resnet50", "vit_base_patch16_clip_224", "vit_small_patch16_18x2_224", "vit_tiny_r_s16_p8_224",
     "vit_base_patch16_siglip_224", "swinv2_tiny_window8_256", "swin_s3_tiny_224"],
)  # fmt: skip
def test_networks_that_are_no_plain_vit_are_timms(arch: str) -> None:
    found = find_architecture(arch)
    assert isinstance(found, TimmArchitecture)
    assert found.name == arch


@pytest.mark.parametrize(
    "arch",
    ["vit_tiny_patch16_224", "vit_small_patch8_96", "vit_small_patch14_dinov2",
     "vit_small_patch14_reg4_dinov2"],
)  # fmt: skip
def test_shapes_say_everything_but_the_heads(arch: str) -> None:
    architecture = vit(arch)
    assert infer(shapes_of(architecture), heads=architecture.heads, name=arch) == architecture


def test_other_weights_are_refused() -> None:
    with pytest.raises(StateMismatch, match="not the weights of a Vision Transformer"):
        infer({"conv1.weight": (64, 3, 7, 7)}, heads=1, name="resnet")


def test_a_table_that_is_no_square_grid_is_refused() -> None:
    shapes = shapes_of(vit("vit_tiny_patch16_224")) | {"pos_embed": (1, 180, 192)}
    with pytest.raises(StateMismatch, match="180 positions"):
        infer(shapes, heads=3, name="odd")
