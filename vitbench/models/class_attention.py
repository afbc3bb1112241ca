"""Class attention: a learned token gathers patches, all of an image or a few neighbors."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitbench.models.layers import Linear

EPS = 1e-6


class ClassAttention(nn.Module):
    """SelfPatch's aggregation module: a class token that looks at patches through class attention.

    The patches themselves are never changed, so their keys and values are projected once per
    block, however many neighborhoods a patch belongs to.

    Args:
        embed_dim: D of the patches.
        heads: Attention heads; they divide D.
        depth: Class-attention blocks.

    Source:
        Yun et al., SelfPatch, CVPR 2022, section 3.2; Touvron et al., CaiT, ICCV 2021. Reference:
        alinlab/SelfPatch, selfpatch_vision_transformer.py, SelfPatchHead (81aef14).

    Differs:
        Any number of patches; neighbors come as an index, so any rule can choose them.
    """

    def __init__(self, embed_dim: int, heads: int, *, depth: int = 2) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim))
        self.cls_blocks = nn.ModuleList(_Block(embed_dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=EPS)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        self.apply(_init_linear)

    def forward(self, patches: Tensor) -> Tensor:
        """Summarize whole images: patches (B, N, D) to one vector each, (B, D)."""
        token = self.cls_token.expand(len(patches), -1, -1)
        for block in self.cls_blocks:
            token = block(token, patches)
        return self.norm(token).squeeze(1)  # type: ignore[no-any-return]

    def normalize(self, patches: Tensor) -> Tensor:
        """Bring patches (..., D) to the scale of the summaries, by the same final norm."""
        return self.norm(patches)  # type: ignore[no-any-return]

    def summarize(self, patches: Tensor, index: Tensor, keep: Tensor | None = None) -> Tensor:
        """Summarize a neighborhood of each patch; the patch itself is in it only if listed.

        Args:
            patches: Patch tokens, shape (B, N, D).
            index: The neighbors of each patch, shape (B, N, k), any order, values below N.
            keep: Which of them count, shape (B, N, k); all, if not given.

        Returns:
            One normalized vector for each patch, shape (B, N, D).
        """
        first = torch.arange(len(patches), device=index.device) * index.shape[1]
        flat = index + first.view(-1, 1, 1)
        token: Tensor = self.cls_token
        blocks: Any = self.cls_blocks
        for block in blocks:
            token = block.look(token, patches, flat, keep)
        return self.norm(token)  # type: ignore[no-any-return]


class _Block(nn.Module):
    """One pre-norm class-attention block: attention, then an MLP, on the class token alone."""

    def __init__(self, embed_dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, eps=EPS)
        self.attn = _Attention(embed_dim, heads)
        self.norm2 = nn.LayerNorm(embed_dim, eps=EPS)
        self.mlp = _Mlp(embed_dim)

    def forward(self, token: Tensor, patches: Tensor) -> Tensor:
        """Let one token (B, 1, D) look at all patches (B, N, D) and at itself."""
        seen = self.norm1(torch.cat((token, patches), dim=1))
        token = token + self.attn(seen)
        return token + self.mlp(self.norm2(token))  # type: ignore[no-any-return]

    def look(self, token: Tensor, patches: Tensor, flat: Tensor, keep: Tensor | None) -> Tensor:
        """Let each patch's token (B, N, D) look at its neighbors and at itself."""
        token = token + self.attn.look(self.norm1(token), self.norm1(patches), flat, keep)
        return token + self.mlp(self.norm2(token))  # type: ignore[no-any-return]


class _Attention(nn.Module):
    def __init__(self, embed_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = Linear(embed_dim, embed_dim)
        self.k = Linear(embed_dim, embed_dim)
        self.v = Linear(embed_dim, embed_dim)
        self.proj = Linear(embed_dim, embed_dim)

    def forward(self, seen: Tensor) -> Tensor:
        """Return what the first of the tokens (B, 1+N, D) gathers from all, shape (B, 1, D)."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q(seen[:, :1]), self.k(seen), self.v(seen))
        )
        gathered = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(gathered.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def look(self, token: Tensor, patches: Tensor, flat: Tensor, keep: Tensor | None) -> Tensor:
        """Return what each patch's token gathers from its neighbors and itself, (B, N, D).

        The token of the first block is the same everywhere, shape (1, 1, D), so it is projected
        once and broadcast.
        """
        B, N, D = patches.shape
        split = (self.heads, D // self.heads)
        query = (self.q(token) * split[1] ** -0.5).unflatten(-1, split)  # (B|1, N|1, heads, d)
        key, value = self.k(token).unflatten(-1, split), self.v(token).unflatten(-1, split)
        near_key = self.k(patches).flatten(0, 1)[flat].unflatten(-1, split)  # (B, N, k, heads, d)
        near_value = self.v(patches).flatten(0, 1)[flat].unflatten(-1, split)
        own = (query * key).sum(-1).unsqueeze(2).expand(B, N, 1, -1)  # (B, N, 1, heads)
        near = (query.unsqueeze(2) * near_key).sum(-1)  # (B, N, k, heads)
        if keep is not None:
            near = near.masked_fill(~keep.unsqueeze(-1), -torch.inf)
        share = torch.cat((own, near), dim=2).softmax(dim=2)
        gathered = share[:, :, 0].unsqueeze(-1) * value + torch.einsum(
            "bnkh,bnkhd->bnhd", share[:, :, 1:], near_value
        )
        return self.proj(gathered.flatten(2))  # type: ignore[no-any-return]


class _Mlp(nn.Module):
    def __init__(self, embed_dim: int, ratio: int = 4) -> None:
        super().__init__()
        self.fc1 = Linear(embed_dim, ratio * embed_dim)
        self.fc2 = Linear(ratio * embed_dim, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))  # type: ignore[no-any-return]


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
