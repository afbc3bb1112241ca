"""The input of linear heads: the vectors of which blocks, and how they are joined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from vitbench.api import BackboneInfo, Output, errors
from vitbench_protocols.linear_probe import Choice

BASE_DIM = 768  # D of ViT-B: from here on the reference takes one block and the mean patch
POOLINGS = {
    "cls_token": "class token",
    "mean_pool": "mean patch",
    "class_attention": "class-attention summary",
    "own": "network's own pooling",
}


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """One input of linear heads.

    Source:
        facebookresearch/dino, eval_linear.py (7c446df): the class tokens of the last blocks, early
        ones first; for ViT-B that of the last block and the mean patch, interleaved by channel.
    """

    said: str  # what it is, in words
    outputs: tuple[Output, ...]
    interleaved: bool = False

    def join(self, vectors: Mapping[Output, Tensor]) -> Tensor:
        """Put the outputs' vectors (B, D) together, (B, D * outputs)."""
        parts = [vectors[output] for output in self.outputs]
        if self.interleaved:
            return torch.stack(parts, dim=-1).flatten(1)
        return torch.cat(parts, dim=1)


def feature_sets(choices: Sequence[Choice], info: BackboneInfo) -> tuple[FeatureSet, ...]:
    """Return what the choices mean for a backbone, none of it twice.

    A mean patch has nothing to add to itself. Class attention exists after the last block only, so
    there its summary stands for the last four blocks too.

    Raises:
        UnknownName: If a choice is none.
    """
    for choice in choices:
        if choice not in get_args(Choice):
            raise errors.UnknownName("feature", choice, get_args(Choice))
    return tuple(dict.fromkeys(_feature_set(choice, info) for choice in choices))


def _feature_set(choice: Choice, info: BackboneInfo) -> FeatureSet:
    if choice == "by-size":
        choice = "last-4" if info.embed_dim < BASE_DIM else "last-1+mean"
    pooled = POOLINGS[info.pooled_from]
    if choice == "last-1+mean" and info.pooled_from != "mean_pool":
        alike = info.pooled_width(-1) == info.stage(-1).width  # else there are no pairs of channels
        how = "interleaved" if alike else "joined"
        said = f"{pooled} of the last block, {how} with its mean patch"
        return FeatureSet(said, (Output(-1), Output(-1, "mean")), interleaved=alike)
    blocks = min(4, info.depth) if choice == "last-4" else 1
    if blocks == 1 or info.pooled_from == "class_attention":
        return FeatureSet(f"{pooled} of the last block", (Output(-1),))
    outputs = tuple(Output(layer) for layer in range(-blocks, 0))
    return FeatureSet(f"{pooled} of the last {blocks} blocks", outputs)
