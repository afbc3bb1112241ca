"""timm's Vision Transformer as a `Backbone`, under our positional rule."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, Literal

import torch
from timm.layers import GELUTanh, QuickGELU
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from vitbench.errors import SettingError
from vitbench.models.architecture import Architecture, parse_architecture
from vitbench.models.backbone import Backbone, BackboneInfo, Features
from vitbench.models.constants import IMAGENET_MEAN, IMAGENET_STD, Activation, PositionRule, Triple
from vitbench.models.initialization import initialize
from vitbench.models.layers import put_layers
from vitbench.models.patch_mask import PatchMask
from vitbench.models.positions import resize_positions
from vitbench.models.timm_block import Block

KEPT_SIZES = 64  # image sizes whose positions are kept
ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "gelu": nn.GELU,
    "gelu_tanh": GELUTanh,
    "quick_gelu": QuickGELU,
}


class TimmBackbone(Backbone):
    """A Vision Transformer; its parameters are on the meta device until they are filled.

    Args:
        architecture: What to build.
        pooled_from: Image-level feature; left out: the class token if there is one.
        mean: Input normalization.
        std: Input normalization.
        position_rule: How the positional table is resized.
        drop_path: Stochastic depth of the last block; it grows linearly from 0 at the first.
    """

    keeps_derived = True  # positions of a frozen table; not of one that is put together at times

    def __init__(
        self,
        architecture: Architecture,
        *,
        pooled_from: Literal["mean_pool"] | None = None,
        mean: Triple = IMAGENET_MEAN,
        std: Triple = IMAGENET_STD,
        position_rule: PositionRule = "dino",
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        vit = timm_vit(architecture, drop_path)
        put_layers(vit)
        self.cls_token, self.reg_token, self.pos_embed = vit.cls_token, vit.reg_token, vit.pos_embed
        self.patch_embed, self.blocks, self.norm = vit.patch_embed, vit.blocks, vit.norm
        self.architecture: Architecture = architecture
        self.drop_path_rates = torch.linspace(0, drop_path, architecture.depth).tolist()
        self.info = BackboneInfo(
            arch=architecture.name,
            embed_dim=architecture.embed_dim,
            patch_size=architecture.patch_size,
            depth=architecture.depth,
            heads=architecture.heads,
            grid=architecture.grid,
            prefix_tokens=architecture.prefix_tokens,
            pooled_from=pooled_from or ("cls_token" if architecture.cls_token else "mean_pool"),
            position_rule=position_rule if architecture.positions else "none",
            mean=mean,
            std=std,
        )
        self._resized: dict[Any, Tensor] = {}  # positions by image size, while frozen

    def forward(
        self,
        images: Tensor,
        layers: Sequence[int] = (-1,),
        *,
        norm: bool = True,
        mask: PatchMask | None = None,
    ) -> tuple[Features, ...]:
        """See `Backbone.forward`."""
        wanted = [self.info.absolute(layer) for layer in layers]
        tokens, grid = self._embed(images, mask)
        found: dict[int, Features] = {}
        for index, block in enumerate(islice(self.blocks, max(wanted, default=-1) + 1)):
            tokens = block(tokens)
            if index in wanted:
                found[index] = self._features(self.norm(tokens) if norm else tokens, grid, mask)
        return tuple(found[index] for index in wanted)

    def attention(self, images: Tensor) -> Tensor:
        """See `Backbone.attention`."""
        qkv, _ = self._last_qkv(images)
        qkv = qkv.reshape(*qkv.shape[:2], 3, self.info.heads, -1)
        query, key, _ = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, T, D / heads)
        logits: Tensor = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        return logits.softmax(dim=-1)

    def parameter_layers(self) -> dict[str, int]:
        """See `Backbone.parameter_layers`."""
        return {name: self._layer_of(name) for name, _ in self.named_parameters()}

    def _layer_of(self, name: str) -> int:
        first, _, rest = name.partition(".")
        if first == "blocks":
            return 1 + int(rest.partition(".")[0])
        return self.info.depth + 1 if first == "norm" else 0

    def keys(self, images: Tensor) -> Tensor:
        """See `Backbone.keys`."""
        qkv, grid = self._last_qkv(images)
        _, key, _ = qkv.chunk(3, dim=-1)
        return self._features(key, grid, None).patches

    def _last_qkv(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return queries, keys and values of the last block, (B, T, 3 D), and the grid."""
        tokens, grid = self._embed(images)
        for block in islice(self.blocks, self.info.depth - 1):
            tokens = block(tokens)
        last: Any = self.blocks[-1]
        return last.attn.qkv(last.norm1(tokens)), grid

    def replace_drop_path(self, make: Callable[[int, float], nn.Module]) -> None:
        """See `Backbone.replace_drop_path`."""
        blocks: Any = self.blocks
        for index, (block, rate) in enumerate(zip(blocks, self.drop_path_rates, strict=True)):
            block.drop_path1 = make(2 * index, rate)
            block.drop_path2 = make(2 * index + 1, rate)

    def repeated_blocks(self) -> Sequence[nn.Module]:
        """See `Backbone.repeated_blocks`."""
        return list(self.blocks)

    def dense_copy(
        self, *, rule: PositionRule, image_px: int | None = None, heads: int = 0
    ) -> "TimmBackbone":
        """See `Backbone.dense_copy`.

        Source:
            mmsegmentation 0.x, VisionTransformer, with `img_size` of the crop.
        """
        if heads and self.info.embed_dim % heads:
            raise SettingError(
                [f"{self.info.arch}, {self.info.embed_dim} wide, can't have {heads} heads"]
            )
        copy = self._copy_to_learn()
        if heads:
            copy._change_heads(heads)
        if copy.pos_embed is None:
            return copy
        copy.info = replace(copy.info, position_rule=rule)
        if image_px is not None:
            copy._change_grid(image_px // copy.info.patch_size)
        return copy

    def _change_heads(self, heads: int) -> None:
        blocks: Any = self.blocks
        for block in blocks:
            block.attn.num_heads, block.attn.head_dim = heads, self.info.embed_dim // heads
            block.attn.scale = block.attn.head_dim**-0.5
        self.info = replace(self.info, heads=heads)
        self.architecture = replace(self.architecture, heads=heads)

    def _change_grid(self, side: int) -> None:
        """Resize the positional table to a square grid, once."""
        count = self.info.prefix_tokens if self.architecture.prefix_positions else 0
        with torch.no_grad():
            prefix, patches = self.pos_embed[:, :count], self.pos_embed[:, count:]
            resized = resize_positions(
                patches, self.info.grid, (side, side), self.info.position_rule, square=True
            )
            self.pos_embed = nn.Parameter(torch.cat([prefix, resized], dim=1))
        self.info = replace(self.info, grid=(side, side))
        self.architecture = replace(self.architecture, grid=(side, side))

    def _embed(
        self, images: Tensor, mask: PatchMask | None = None
    ) -> tuple[Tensor, tuple[int, int]]:
        """Turn images into tokens with positions (B, T, D), and say their grid (h, w)."""
        height, width = images.shape[-2:]
        patch = self.info.patch_size
        grid = (height // patch, width // patch)
        if 0 in grid:
            raise SettingError(
                [f"an image of {height} x {width} is smaller than a patch ({patch})"]
            )
        tokens = self.patch_embed.proj(images).flatten(2).transpose(1, 2)  # (B, N, D)
        if mask is not None:
            tokens = mask.replace(tokens)
        prefix = [token for token in (self.cls_token, self.reg_token) if token is not None]
        positions = self._positions(grid, square=height == width)
        if positions is not None and self.architecture.prefix_positions and prefix:
            count = self.info.prefix_tokens
            prefix = [_joined(prefix) + positions[:, :count]]
            positions = positions[:, count:]
        if positions is not None:
            tokens = tokens + positions
        if mask is not None:
            tokens = mask.leave_out(tokens)
        if prefix:
            batch = len(images)
            tokens = torch.cat([*(part.expand(batch, -1, -1) for part in prefix), tokens], dim=1)
        return tokens, grid

    def _positions(self, grid: tuple[int, int], *, square: bool) -> Tensor | None:
        """Return the table for a grid, (1, T, D), from memory while it can't have changed."""
        table = self.pos_embed
        if table is None:
            return None
        keeps = self.keeps_derived and not torch.compiler.is_compiling()
        if not keeps or table.requires_grad or table.is_inference():
            # fused optimizers change a table without telling, inference tensors can't tell
            return self._resize(table, grid, square=square)
        key = (grid, square, table.device, table.dtype, table.data_ptr(), table._version)
        if key not in self._resized:
            if len(self._resized) == KEPT_SIZES:
                self._resized.clear()
            with torch.inference_mode(mode=False), torch.no_grad():
                self._resized[key] = self._resize(table, grid, square=square)
        return self._resized[key]

    def _resize(self, table: Tensor, grid: tuple[int, int], *, square: bool) -> Tensor:
        count = self.info.prefix_tokens if self.architecture.prefix_positions else 0
        patches = resize_positions(
            table[:, count:], self.info.grid, grid, self.info.position_rule, square=square
        )
        return torch.cat([table[:, :count], patches], dim=1) if count else patches

    def _features(self, tokens: Tensor, grid: tuple[int, int], mask: PatchMask | None) -> Features:
        patches = tokens[:, self.info.prefix_tokens :]
        pooled = patches.mean(dim=1) if self.info.pooled_from == "mean_pool" else tokens[:, 0]
        if mask is not None:
            patches = mask.put_back(patches)
        return Features(pooled, patches.reshape(len(patches), *grid, -1).permute(0, 3, 1, 2))


def _joined(tokens: list[Tensor]) -> Tensor:
    """Return tokens (1, T, D) one after another."""
    return tokens[0] if len(tokens) == 1 else torch.cat(tokens, dim=1)


def build_backbone(
    arch: str | Architecture,
    *,
    seed: int,
    mean: Triple = IMAGENET_MEAN,
    std: Triple = IMAGENET_STD,
    position_rule: PositionRule = "dino",
    drop_path: float = 0.0,
) -> TimmBackbone:
    """Build a backbone with random weights, on the CPU.

    Args:
        arch: Name (see `architecture.named`) or architecture.
        seed: Of the weights.
        mean: Input normalization.
        std: Input normalization.
        position_rule: How the positional table is resized.
        drop_path: Stochastic depth of the last block.
    """
    architecture = parse_architecture(arch) if isinstance(arch, str) else arch
    if architecture is None:
        raise SettingError([f"{arch!r} names none of our Vision Transformers"])
    backbone = TimmBackbone(
        architecture, mean=mean, std=std, position_rule=position_rule, drop_path=drop_path
    )
    initialize(backbone, torch.Generator().manual_seed(seed))
    return backbone


def timm_vit(architecture: Architecture, drop_path: float = 0.0) -> Any:
    """Build timm's network on the meta device."""
    shape = architecture
    return VisionTransformer(
        img_size=(shape.grid[0] * shape.patch_size, shape.grid[1] * shape.patch_size),
        patch_size=shape.patch_size,
        num_classes=0,
        global_pool="",
        fc_norm=False,
        embed_dim=shape.embed_dim,
        depth=shape.depth,
        num_heads=shape.heads,
        mlp_ratio=(shape.mlp_dim + 0.5) / shape.embed_dim,  # int() of the product is mlp_dim
        qkv_bias=shape.qkv_bias,
        init_values=1e-5 if shape.layer_scale else None,
        class_token=shape.cls_token,
        pos_embed="learn" if shape.positions else "none",
        no_embed_class=not shape.prefix_positions,
        reg_tokens=shape.registers,
        final_norm=shape.final_norm,
        drop_path_rate=drop_path,
        block_fn=Block,
        norm_layer=partial(nn.LayerNorm, eps=shape.norm_eps),
        act_layer=ACTIVATIONS[shape.activation],
        weight_init="skip",
        device="meta",
    )
