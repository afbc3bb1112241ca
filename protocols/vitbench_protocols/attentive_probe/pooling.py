"""Classifiers that pool patches by attention, all of them in a few products."""

import math

import torch
from torch import Tensor, nn

HEAD_WIDTH = 64
INIT_STD = 0.02


class AttentivePooling(nn.Module):
    """The weights of one classifier: a query, keys and values of patches, and a linear layer.

    The bias of the keys moves every score of an image alike, and so no softmax: there is none.
    """

    def __init__(self, width: int, classes: int, *, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(
                nn.init.trunc_normal_(torch.empty(*shape), std=INIT_STD, generator=generator)
            )

        self.query = drawn(width)
        self.key, self.value = drawn(width, width), drawn(width, width)
        self.value_bias = nn.Parameter(torch.zeros(width))
        self.weight = drawn(classes, width)
        self.bias = nn.Parameter(torch.zeros(classes))


class PoolingGrid(nn.Module):
    """Several classifiers of the same patches.

    Args:
        count: How many classifiers; all start from the same weights.
        width: D of a patch.
        classes: C.
        seed: Draws the first weights.
    """

    def __init__(self, count: int, width: int, classes: int, *, seed: int) -> None:
        super().__init__()
        self.heads = attention_heads(width)
        self.classifiers = nn.ModuleList(
            AttentivePooling(width, classes, seed=seed) for _ in range(count)
        )

    def attention(self, patches: Tensor) -> Tensor:
        """Return the weights of patches (B, N, D), which add up to 1: (B, G, heads, N)."""
        query, key = self._by_head("query"), self._by_head("key")  # (G, H, d) and (G, H, d, D)
        directions = torch.einsum("ghd,ghde->ghe", query, key) / math.sqrt(query.shape[-1])
        scores = torch.einsum("bne,me->bmn", patches, directions.flatten(0, 1))
        return scores.softmax(dim=-1).view(len(patches), -1, self.heads, patches.shape[1])

    def forward(self, patches: Tensor) -> Tensor:
        """Classify images by their patches (B, N, D); returns logits (B, G, C)."""
        pooled = torch.einsum("bghn,bne->bghe", self.attention(patches), patches)
        summary = torch.einsum("bghe,ghde->bghd", pooled, self._by_head("value")).flatten(2)
        summary = summary + self._stacked("value_bias")
        logits = torch.einsum("bgd,gcd->bgc", summary, self._stacked("weight"))
        return logits + self._stacked("bias")

    def only(self, number: int) -> "PoolingGrid":
        """Return a grid of one of the classifiers, with its weights."""
        alone = PoolingGrid.__new__(PoolingGrid)
        nn.Module.__init__(alone)
        alone.heads = self.heads
        alone.classifiers = nn.ModuleList([self.classifiers[number]])
        return alone

    def _by_head(self, name: str) -> Tensor:
        stacked = self._stacked(name)
        return stacked.view(len(stacked), self.heads, -1, *stacked.shape[2:])

    def _stacked(self, name: str) -> Tensor:
        return torch.stack([getattr(one, name) for one in self.classifiers])


def attention_heads(width: int) -> int:
    """Return the number of attention heads: of 64 channels each, where the width allows it."""
    return next(heads for heads in range(max(1, width // HEAD_WIDTH), 0, -1) if width % heads == 0)
