"""Carry labels from frame to frame: each patch takes those of the patches most like it.

Patches are compared only within a window. The grid is cut into tiles; of the affinity, the part
that a tile's windows reach is formed, over all context frames at once, and nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vitbench.kit import send

# tokens along the longer side and across it: few enough to waste little, enough for fast matrix
# products and few launches
TILE = {"cpu": (4, 32), "cuda": (16, 128)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Settings of the label propagation."""

    k: int = 5  # most similar patches that give their label
    temperature: float = 0.1
    context: int = 7  # latest frames that give labels, beside the first
    radius: int = 12  # tokens; 0: the whole frame
    window: Literal["square", "circle"] = "square"
    window_on_first: bool = True
    keep_ties: bool = True  # patches as similar as the k-th give their label too
    repeat_first: bool = False  # copies of the first frame stand in for frames not there yet


class Span(NamedTuple):
    """Queries along one side of the grid, and the keys that their windows reach."""

    queries: range
    keys: range


class _Tile(NamedTuple):
    """A part of the grid."""

    lines: Span
    columns: Span
    outside: Tensor | None  # (queries, keys): beyond a query's own window


class _Bank(NamedTuple):
    """Context frames as one tile sees them: n frames, the keys within reach in each."""

    similarity: Tensor  # (n, queries, keys)
    labels: Tensor  # (n, keys, C)
    outside: Tensor | None  # (queries, keys)


class _Mixed(NamedTuple):
    """The labels of some queries."""

    labels: Tensor  # (queries, C)
    threshold: Tensor  # (queries,) logit of the k-th key
    tied: Tensor  # (queries,) whether a key beyond the k-th is as similar


class Propagator:
    """Follows the labels of one clip; its memory does not grow with the clip's length.

    Args:
        rules: How labels are carried.
        patches: Patch tokens of the first frame, shape (D, h, w).
        labels: Its labels, shape (C, h, w), non-negative.

    Source:
        Jabri et al., Contrastive Random Walk, NeurIPS 2020, section 4. References:
        facebookresearch/dino, eval_video_segmentation.py, label_propagation (7c446df);
        ajabri/videowalk, code/test.py (047f3f4).

    Differs:
        The affinity is formed only where the windows of a tile reach, and context features are
        normalized once. Sums run in another order, so results agree to rounding.
    """

    def __init__(self, rules: Rules, patches: Tensor, labels: Tensor) -> None:
        self._rules = rules
        self._upright = patches.shape[1] > patches.shape[2]
        first, first_labels = self._features_of(patches), self._lines(labels)
        slots = 1 + rules.context  # the first frame, then a ring of the latest
        self._features = first.new_empty(slots, *first.shape)  # (slots, lines, columns, D)
        self._labels = first_labels.new_empty(slots, *first_labels.shape)
        used = slots if rules.repeat_first else 1
        self._features[:used], self._labels[:used] = first, first_labels
        self._used, self._frames = used, 0
        self._tiles = _tiles(rules, first.shape[0], first.shape[1], first.device)
        self._order = send(_order(self._tiles, first.shape[0], first.shape[1]), first.device)

    @property
    def size_bytes(self) -> int:
        """Memory of the kept features and labels, in bytes."""
        return self._features.nbytes + self._labels.nbytes

    def step(self, patches: Tensor) -> Tensor:
        """Label the next frame, and remember it.

        Args:
            patches: Its patch tokens, shape (D, h, w).

        Returns:
            Its soft labels, shape (C, h, w): a weighted mean of labels it resembles.
        """
        labels = self.label(patches)
        self.remember(patches, labels)
        return labels

    def label(self, patches: Tensor) -> Tensor:
        """Return the soft labels of a frame, shape (C, h, w), from the frames remembered."""
        features = self._features_of(patches)
        parts = [mix(self._banks(features, tile), self._rules) for tile in self._tiles]
        if self._rules.keep_ties:
            # one wait for the device in a frame
            ties = torch.stack([part.tied.any() for part in parts]).tolist()
            for tile, part, any_tied in zip(self._tiles, parts, ties, strict=True):
                if any_tied:
                    mix_ties(part, self._banks(features, tile), self._rules)
        labels = torch.cat([part.labels for part in parts])[self._order].view(
            *features.shape[:2], -1
        )
        return labels.permute((2, 0, 1) if self._upright else (2, 1, 0))

    def remember(self, patches: Tensor, labels: Tensor) -> None:
        """Let the next frames be labeled from this one, in place of the oldest."""
        if self._rules.context:
            slot = 1 + self._frames % self._rules.context
            self._features[slot] = self._features_of(patches)
            self._labels[slot] = self._lines(labels)
            self._frames, self._used = self._frames + 1, max(self._used, slot + 1)

    def _banks(self, features: Tensor, tile: _Tile) -> list[_Bank]:
        """Compare the queries of one tile with the keys that its windows reach."""
        queries = _within(features, tile.lines.queries, tile.columns.queries).flatten(0, 1)
        whole = 0 if self._rules.window_on_first else 1  # slots without a window
        banks = []
        if whole:
            banks.append(_compared(queries, self._features[:1], self._labels[:1], None))
        if self._used > whole:
            near, labels = (
                _within(kept[whole : self._used], tile.lines.keys, tile.columns.keys)
                for kept in (self._features, self._labels)
            )
            banks.append(_compared(queries, near, labels, tile.outside))
        return banks

    def _features_of(self, patches: Tensor) -> Tensor:
        return self._lines(functional.normalize(patches.float(), dim=0))

    def _lines(self, maps: Tensor) -> Tensor:
        """Turn (D, h, w) into (lines, columns, D), lines across the longer side."""
        return maps.permute((1, 2, 0) if self._upright else (2, 1, 0)).contiguous()


def _within(maps: Tensor, lines: range, columns: range) -> Tensor:
    """Return a part of maps (…, lines, columns, C)."""
    return maps[..., lines.start : lines.stop, columns.start : columns.stop, :]


def _compared(queries: Tensor, keys: Tensor, labels: Tensor, outside: Tensor | None) -> _Bank:
    """Compare queries (q, D) with the keys (n, lines, columns, D) of n frames."""
    flat = keys.flatten(1, 2)
    similarity = torch.bmm(queries.expand(len(flat), -1, -1), flat.transpose(1, 2))
    return _Bank(similarity, labels.flatten(1, 2), outside)


def mix(banks: Sequence[_Bank], rules: Rules) -> _Mixed:
    """Mix the labels of each query's k most similar keys over all banks.

    A place of the grid can hold one of the k best keys only if its best frame is among the k best
    places, so the k best are sought among k + 1 places; the one beyond k tells ties.
    """
    found = [_nearest(bank, rules.k + 1) for bank in banks]
    sizes = [bank.labels.shape[0] * bank.labels.shape[1] for bank in banks]
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    similarity = torch.cat([values for values, _ in found], dim=1)
    index = torch.cat([at + start for (_, at), start in zip(found, starts, strict=True)], dim=1)
    labels = torch.cat([bank.labels.flatten(0, 1) for bank in banks])  # (all keys, C)

    top, order = similarity.topk(min(rules.k + 1, similarity.shape[1]), dim=1)
    logits = top / rules.temperature
    weights = logits[:, : rules.k].softmax(dim=1)
    chosen = labels[index.gather(1, order[:, : rules.k])]  # (queries, k, C)
    mixed = torch.einsum("qk,qkc->qc", weights, chosen)
    threshold, beyond = logits[:, min(rules.k, logits.shape[1]) - 1], logits[:, rules.k :]
    tied = ((threshold[:, None] == beyond) & (beyond > -math.inf)).any(dim=1)
    return _Mixed(mixed, threshold, tied)


def _nearest(bank: _Bank, count: int) -> tuple[Tensor, Tensor]:
    """Return similarity and index of the keys at each query's best places, (queries, n * count).

    The index counts the bank's keys frame by frame.
    """
    frames, _, keys = bank.similarity.shape
    best = bank.similarity.amax(dim=0)  # (queries, keys)
    if bank.outside is not None:
        best.masked_fill_(bank.outside, -math.inf)
    value, place = best.topk(min(count, keys), dim=1)  # (queries, count)
    similarity = bank.similarity.gather(2, place.expand(frames, -1, -1))
    similarity = similarity.masked_fill(value == -math.inf, -math.inf)
    index = place + keys * torch.arange(frames, device=place.device).view(-1, 1, 1)
    return similarity.transpose(0, 1).flatten(1), index.transpose(0, 1).flatten(1)


def mix_ties(part: _Mixed, banks: Sequence[_Bank], rules: Rules) -> None:
    """Mix the labels of every key as similar as the k-th, for queries where there are more."""
    rows = part.tied
    labels = torch.cat([bank.labels.flatten(0, 1) for bank in banks])
    parts = []
    for bank in banks:
        similarity = bank.similarity[:, rows]  # (n, rows, keys)
        if bank.outside is not None:
            similarity = similarity.masked_fill(bank.outside[rows], -math.inf)
        parts.append(similarity.transpose(0, 1).flatten(1))
    logits = torch.cat(parts, dim=1) / rules.temperature
    kept = logits.masked_fill(logits < part.threshold[rows, None], -math.inf)
    part.labels[rows] = kept.softmax(dim=1) @ labels


def _tiles(rules: Rules, lines: int, columns: int, device: torch.device) -> list[_Tile]:
    """Cut a grid into tiles, each with what its windows reach."""
    along, across = (
        _spans(side, most, rules.radius)
        for side, most in zip((lines, columns), TILE.get(device.type, TILE["cpu"]), strict=True)
    )
    masks: dict[tuple[tuple[int, ...], ...], Tensor] = {}  # most tiles are like one another
    tiles = []
    for line, column in product(along, across):
        outside = None
        if rules.radius:
            alike = tuple(
                (len(span.queries), len(span.keys), span.queries.start - span.keys.start)
                for span in (line, column)
            )
            if alike not in masks:
                masks[alike] = send(outside_window(rules, line, column), device)
            outside = masks[alike]
        tiles.append(_Tile(line, column, outside))
    return tiles


def _order(tiles: Sequence[_Tile], lines: int, columns: int) -> Tensor:
    """Return where each token of the grid stands among those of one tile after another."""
    places = torch.arange(lines * columns).view(lines, columns, 1)
    parts = [_within(places, tile.lines.queries, tile.columns.queries) for tile in tiles]
    return torch.cat([part.flatten() for part in parts]).argsort()


def _spans(side: int, most: int, radius: int) -> list[Span]:
    """Cut a side into spans of about the same length."""
    reach, count = radius or side, -(-side // most)
    ends = [side * number // count for number in range(count + 1)]
    return [
        Span(range(start, stop), range(max(0, start - reach), min(side, stop + reach)))
        for start, stop in pairwise(ends)
    ]


def outside_window(rules: Rules, lines: Span, columns: Span) -> Tensor:
    """Mark the keys that are beyond each query's window, shape (queries, keys) in tokens."""
    line, column = (
        (torch.tensor(span.queries)[:, None] - torch.tensor(span.keys)).abs()
        for span in (lines, columns)
    )
    along, across = line[:, None, :, None], column[None, :, None, :]
    if rules.window == "square":
        far = (along > rules.radius) | (across > rules.radius)
    else:
        far = along**2 + across**2 >= rules.radius**2
    return far.flatten(2).flatten(0, 1)
