"""The network of timm that weights belong to, one function a family; mostly from shapes."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

from vitbench.errors import CheckpointError, StateMismatch
from vitbench.models.architecture import Shape, count_blocks
from vitbench.models.timm_architecture import Option, TimmArchitecture

NATIVE = 224  # pixels, of a network whose weights do not tell a size
HEAD = 64  # channels of a head, where a family has no other


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Facts that weights do not tell: from the file, the layout or the user."""

    heads: int
    norm_eps: float
    activation: str


def clip(shapes: Mapping[str, Shape], known: Known) -> TimmArchitecture:
    """Return an image encoder of CLIP."""
    options = {"act_layer": known.activation}
    return _plain("vit_base_patch16_clip_224", shapes, known, _table(shapes, 1), options)


def siglip(shapes: Mapping[str, Shape], known: Known) -> TimmArchitecture:
    """Return an image encoder of SigLIP."""
    options = {"act_layer": known.activation}
    return _plain("vit_base_patch16_siglip_224", shapes, known, _table(shapes, 0), options)


def dinov2_giant(shapes: Mapping[str, Shape], known: Known) -> TimmArchitecture:
    """Return a DINOv2 whose blocks have SwiGLU, with registers or without."""
    if "reg_token" not in shapes:
        return _plain("vit_giant_patch14_dinov2", shapes, known, _table(shapes, 1), {})
    options = {"reg_tokens": shapes["reg_token"][1]}
    return _plain("vit_giant_patch14_reg4_dinov2", shapes, known, _table(shapes, 0), options)


def dinov3(shapes: Mapping[str, Shape], known: Known) -> TimmArchitecture:
    """Return a Vision Transformer of DINOv3."""
    _demand_gelu(known)
    gated = "blocks.0.mlp.fc1_g.weight" in shapes
    options: dict[str, Option] = {
        "qkv_bias": "blocks.0.attn.q_bias" in shapes,
        "num_reg_tokens": shapes["reg_token"][1],
        "global_pool": "token",
        **({"swiglu_mlp": True, "swiglu_align_to": 1} if gated else {}),
    }
    return _plain("vit_small_patch16_dinov3", shapes, known, None, options)


def beit(shapes: Mapping[str, Shape], known: Known) -> TimmArchitecture:
    """Return a BEiT; the relative positions tell its grid."""
    _demand_gelu(known)
    shared = "rel_pos_bias.relative_position_bias_table" in shapes
    tables = [shape for name, shape in shapes.items() if name.endswith("_bias_table")]
    options: dict[str, Option] = {
        "use_abs_pos_emb": "pos_embed" in shapes,
        "use_rel_pos_bias": bool(tables) and not shared,
        "use_shared_rel_pos_bias": shared,
        "global_pool": "avg" if "fc_norm.weight" in shapes else "token",
    }
    grid = (isqrt(tables[0][0] - 3) + 1) // 2 if tables else _table(shapes, 1)
    return _plain("beit_base_patch16_224", shapes, known, grid, options)


def _plain(
    base: str,
    shapes: Mapping[str, Shape],
    known: Known,
    grid: int | None,
    options: Mapping[str, Option],
) -> TimmArchitecture:
    """Return a network of a family by its sizes; `grid` is its patches along a side."""
    dim, _, patch, _ = shapes["patch_embed.proj.weight"]
    hidden = next(
        shapes[name][0]
        for name in ("blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc1_g.weight")
        if name in shapes
    )
    side = patch * grid if grid else NATIVE // patch * patch
    sizes: dict[str, Option] = {
        "img_size": side,
        "patch_size": patch,
        "embed_dim": dim,
        "depth": count_blocks(shapes, "blocks."),
        "num_heads": known.heads,
        "mlp_ratio": (hidden + 0.5) / dim,  # int() of the product is the hidden width
    }
    return TimmArchitecture(
        timm_name=base,
        image_size=(side, side),
        heads=known.heads,
        norm_eps=known.norm_eps,
        every_norm_eps=known.norm_eps,
        options=tuple(sorted({**sizes, **options}.items())),
    )


def _demand_gelu(known: Known) -> None:
    if known.activation != "gelu":
        raise CheckpointError(
            f"activation {known.activation!r} is not that of timm's network.",
            expected="gelu",
            hint="weights of the published networks have it",
        )


def _table(shapes: Mapping[str, Shape], prefix: int) -> int:
    """Return the patches along a side that a positional table has."""
    count = shapes["pos_embed"][1] - prefix
    side = isqrt(max(count, 0))
    if not side or side * side != count:
        raise StateMismatch(f"{count} positions of patches are no square grid.")
    return side
