"""A Swin Transformer as a `Backbone`: shifted windows, four stages, images of any size."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from vitbench.errors import SettingError
from vitbench.models.backbone import Backbone, BackboneInfo, Features, Stage, refuse_mask
from vitbench.models.constants import IMAGENET_MEAN, IMAGENET_STD, Triple
from vitbench.models.kept import kept
from vitbench.models.layers import Gelu, put_layers
from vitbench.models.patch_mask import PatchMask
from vitbench.models.residual import add_branch
from vitbench.models.swin_architecture import SwinArchitecture

HIDDEN = -100.0  # added to the logit of a token that a shifted window should not see


class SwinBackbone(Backbone):
    """Maps of every block: stride 32 and the full width in the last stage, finer before.

    Parameters are on the meta device until they are filled. Only blocks of the last stage pass
    through the final norm; the image-level feature is the mean of the patches.

    Args:
        architecture: What to build.
        mean: Input normalization.
        std: Input normalization.
        drop_path: Stochastic depth of the last block; it grows linearly from 0 at the first.

    Source:
        Liu et al., Swin Transformer, ICCV 2021. Reference: microsoft/esvit,
        models/swin_transformer.py (2d6becd).

    Differs:
        Images need not be square.
    """

    def __init__(
        self,
        architecture: SwinArchitecture,
        *,
        mean: Triple = IMAGENET_MEAN,
        std: Triple = IMAGENET_STD,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.architecture: SwinArchitecture = architecture
        shape = architecture
        rates = iter(torch.linspace(0, drop_path, sum(shape.depths)).tolist())
        widths = [shape.embed_dim * 2**stage for stage in range(len(shape.depths))]
        with torch.device("meta"):
            self.patch_embed = _PatchEmbed(shape)
            self.layers = nn.ModuleList(
                _Stage(shape, stage, [next(rates) for _ in range(blocks)])
                for stage, blocks in enumerate(shape.depths)
            )
            self.norm = nn.LayerNorm(widths[-1], eps=shape.norm_eps)
        put_layers(self)
        self.info = BackboneInfo(
            arch=shape.name,
            embed_dim=widths[-1],
            patch_size=shape.patch_size * 2 ** (len(widths) - 1),
            depth=sum(shape.depths),
            heads=shape.heads[-1],
            grid=(shape.grids[-1], shape.grids[-1]),
            prefix_tokens=0,
            pooled_from="mean_pool",
            position_rule="none",
            mean=mean,
            std=std,
            stages=tuple(
                Stage(blocks, width, shape.patch_size * 2**stage)
                for stage, (blocks, width) in enumerate(zip(shape.depths, widths, strict=True))
            ),
        )

    def forward(
        self,
        images: Tensor,
        layers: Sequence[int] = (-1,),
        *,
        norm: bool = True,
        mask: PatchMask | None = None,
    ) -> tuple[Features, ...]:
        """See `Backbone.forward`."""
        refuse_mask(self.info, mask)
        wanted = [self.info.absolute(layer) for layer in layers]
        last = len(self.layers) - 1
        found: dict[int, Features] = {}
        index = 0
        x = self.patch_embed(images)  # (B, h, w, D)
        stages: Any = self.layers
        for number, stage in enumerate(stages):
            for block in stage.blocks:
                x = block(x)
                if index in wanted:
                    found[index] = _features(self.norm(x) if norm and number == last else x)
                index += 1
            if index > max(wanted, default=-1):
                break
            x = stage.downsample(x)
        return tuple(found[index] for index in wanted)

    def repeated_blocks(self) -> Sequence[nn.Module]:
        """See `Backbone.repeated_blocks`."""
        stages: Any = self.layers
        return [block for stage in stages for block in stage.blocks]

    def parameter_layers(self) -> dict[str, int]:
        """See `Backbone.parameter_layers`; what joins patches belongs to the block before it."""
        starts = [0, *accumulate(stage.blocks for stage in self.info.stages)]
        found = {}
        for name, _ in self.named_parameters():
            parts = name.split(".")
            if parts[0] != "layers":
                found[name] = self.info.depth + 1 if parts[0] == "norm" else 0
                continue
            stage = int(parts[1])
            in_block = parts[2] == "blocks"
            found[name] = starts[stage] + int(parts[3]) + 1 if in_block else starts[stage + 1]
        return found

    def replace_drop_path(self, make: Callable[[int, float], nn.Module]) -> None:
        """See `Backbone.replace_drop_path`."""
        stages: Any = self.layers
        for index, block in enumerate(block for stage in stages for block in stage.blocks):
            block.drop_path1 = make(2 * index, block.drop_path_rate)
            block.drop_path2 = make(2 * index + 1, block.drop_path_rate)


def _features(x: Tensor) -> Features:
    return Features(x.mean(dim=(1, 2)), x.permute(0, 3, 1, 2))


class _PatchEmbed(nn.Module):
    def __init__(self, shape: SwinArchitecture) -> None:
        super().__init__()
        size = shape.patch_size
        self.proj = nn.Conv2d(3, shape.embed_dim, kernel_size=size, stride=size)
        self.norm = nn.LayerNorm(shape.embed_dim, eps=shape.norm_eps)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into tokens (B, h, w, D)."""
        size = self.proj.kernel_size[0]
        if min(images.shape[-2:]) < size:
            raise SettingError([f"an image of {tuple(images.shape[-2:])} px is below {size} px"])
        return self.norm(self.proj(images).permute(0, 2, 3, 1))  # type: ignore[no-any-return]


class _Stage(nn.Module):
    def __init__(self, shape: SwinArchitecture, stage: int, rates: Sequence[float]) -> None:
        super().__init__()
        grid, dim = shape.grids[stage], shape.embed_dim * 2**stage
        window = min(shape.window, grid)
        step = shape.window // 2 if grid > shape.window else 0
        self.blocks = nn.ModuleList(
            _Block(dim, shape.heads[stage], window, step * (index % 2), rate, shape.norm_eps)
            for index, rate in enumerate(rates)
        )
        merges = stage < len(shape.depths) - 1
        self.downsample = _Merge(dim, shape.norm_eps) if merges else nn.Identity()


class _Block(nn.Module):
    """One pre-norm block: attention within windows, then an MLP."""

    def __init__(
        self, dim: int, heads: int, window: int, shift: int, drop_path: float, eps: float
    ) -> None:
        super().__init__()
        self.window, self.shift, self.drop_path_rate = window, shift, drop_path
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=eps), nn.LayerNorm(dim, eps=eps)
        self.attn = _WindowAttention(dim, heads, window)
        self.mlp = _Mlp(dim)
        self.drop_path1: nn.Module = StochasticDepth(drop_path, "row")
        self.drop_path2: nn.Module = StochasticDepth(drop_path, "row")

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, h, w, D) to tokens."""
        x = add_branch(x, self._attend(self.norm1(x)), self.drop_path1)
        return add_branch(x, self.mlp(self.norm2(x)), self.drop_path2)

    def _attend(self, x: Tensor) -> Tensor:
        """Attend within windows; the grid is padded to whole windows by zeros that count."""
        height, width, side = *x.shape[1:3], self.window
        x = functional.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        if self.shift:
            x = x.roll((-self.shift, -self.shift), dims=(1, 2))
        B, H, W, D = x.shape
        windows = x.view(B, H // side, side, W // side, side, D).transpose(2, 3)
        hidden = _hidden(H, W, side, self.shift, x.device) if self.shift else None
        windows = self.attn(windows.reshape(B, -1, side * side, D), hidden)
        x = windows.view(B, H // side, W // side, side, side, D).transpose(2, 3)
        x = x.reshape(B, H, W, D)
        if self.shift:
            x = x.roll((self.shift, self.shift), dims=(1, 2))
        return x[:, :height, :width]


class _WindowAttention(nn.Module):
    """Attention within windows, with a learned bias for each relative position."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        rows = (2 * window - 1) ** 2
        self.relative_position_bias_table = nn.Parameter(torch.empty(rows, heads))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, windows: Tensor, hidden: Tensor | None) -> Tensor:
        """Mix the tokens of each window.

        Args:
            windows: Tokens (B, windows, T, D).
            hidden: What is added to the logits of a shifted grid, (windows, T, T).
        """
        B, count, T, D = windows.shape
        qkv = self.qkv(windows).view(B, count, T, 3, self.heads, -1).permute(3, 0, 1, 4, 2, 5)
        # masks that differ from window to window need a dimension of their own
        batch = (B * count, self.heads) if hidden is None else (B, count * self.heads)
        query, key, value = qkv.reshape(3, *batch, T, -1)
        index = _relative_index(self.window, windows.device)
        bias = self.relative_position_bias_table[index].permute(2, 0, 1)  # (heads, T, T)
        if hidden is not None:
            bias = (bias + hidden[:, None]).flatten(0, 1)
        bias = bias.to(query.dtype)
        mixed = functional.scaled_dot_product_attention(query, key, value, bias[None])
        mixed = mixed.view(B, count, self.heads, T, -1).transpose(2, 3).reshape(B, count, T, D)
        return self.proj(mixed)  # type: ignore[no-any-return]


class _Mlp(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.act = Gelu()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))  # type: ignore[no-any-return]


class _Merge(nn.Module):
    """Join 2 x 2 tokens to one of twice the width; an odd side is padded by zeros."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim, eps=eps)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, h, w, D) to (B, h / 2, w / 2, 2 D), rounded up."""
        x = functional.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        B, H, W, D = x.shape
        quads = x.view(B, H // 2, 2, W // 2, 2, D).permute(0, 1, 3, 4, 2, 5)  # column, then row
        return self.reduction(self.norm(quads.reshape(B, H // 2, W // 2, 4 * D)))  # type: ignore[no-any-return]


@kept
def _relative_index(window: int, device: torch.device) -> Tensor:
    """Return the row of the bias table for each pair of a window's tokens, (T, T)."""
    row, column = (axis.flatten() for axis in torch.meshgrid(
        *2 * (torch.arange(window, device=device),), indexing="ij"
    ))  # fmt: skip
    down = row[:, None] - row + window - 1
    right = column[:, None] - column + window - 1
    return down * (2 * window - 1) + right


@kept
def _hidden(height: int, width: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Return what keeps apart the tokens that a shift brought into one window, (windows, T, T).

    A grid rolled by `shift` has, along each side, windows that are whole, the window that the
    border cuts, and what was rolled in from the other end.
    """

    def part(side: int) -> Tensor:
        place = torch.arange(side, device=device)
        return (place >= side - window).long() + (place >= side - shift).long()

    region = 3 * part(height)[:, None] + part(width)
    windows = region.view(height // window, window, width // window, window).transpose(1, 2)
    windows = windows.reshape(-1, window * window)
    return HIDDEN * (windows[:, None] != windows[:, :, None]).float()
