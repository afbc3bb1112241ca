"""Carry labels from frame to frame: each patch takes those of the patches most like it.

Patches are compared only within a window. The grid is cut into strips across its longer side; of
the affinity, the part that a strip's windows reach is formed, over all context frames at once, and
nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vitbench.kit import send

# tokens: narrow enough to waste little, wide enough for fast matrix products and few launches
STRIP = {"cpu": 4, "cuda": 16}


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


class _Strip(NamedTuple):
    """Queries between two lines of the grid, and the lines that their windows reach."""

    start: int
    stop: int
    low: int
    high: int
    outside: Tensor | None  # (queries, keys): beyond a query's own window


class _Bank(NamedTuple):
    """Context frames as one strip sees them: n frames, the keys within reach in each."""

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
        The affinity is not formed outside the window's strip, and context features are
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
        self._strips = _strips(rules, first.shape[0], first.shape[1], first.device)

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
        parts = [mix(self._banks(features, strip), self._rules) for strip in self._strips]
        if self._rules.keep_ties:
            # one wait for the device in a frame
            ties = torch.stack([part.tied.any() for part in parts]).tolist()
            for strip, part, any_tied in zip(self._strips, parts, ties, strict=True):
                if any_tied:
                    mix_ties(part, self._banks(features, strip), self._rules)
        labels = torch.cat([part.labels for part in parts]).view(*features.shape[:2], -1)
        return labels.permute((2, 0, 1) if self._upright else (2, 1, 0))

    def remember(self, patches: Tensor, labels: Tensor) -> None:
        """Let the next frames be labeled from this one, in place of the oldest."""
        if self._rules.context:
            slot = 1 + self._frames % self._rules.context
            self._features[slot] = self._features_of(patches)
            self._labels[slot] = self._lines(labels)
            self._frames, self._used = self._frames + 1, max(self._used, slot + 1)

    def _banks(self, features: Tensor, strip: _Strip) -> list[_Bank]:
        """Compare the queries of one strip with the keys that its windows reach."""
        queries = features[strip.start : strip.stop].flatten(0, 1)
        whole = 0 if self._rules.window_on_first else 1  # slots without a window
        banks = []
        if whole:
            banks.append(self._bank(queries, slice(0, 1), slice(None), None))
        if self._used > whole:
            near = slice(strip.low, strip.high)
            banks.append(self._bank(queries, slice(whole, self._used), near, strip.outside))
        return banks

    def _bank(self, queries: Tensor, slots: slice, lines: slice, outside: Tensor | None) -> _Bank:
        keys = self._features[slots, lines].flatten(1, 2)  # (n, keys, D)
        similarity = torch.bmm(queries.expand(len(keys), -1, -1), keys.transpose(1, 2))
        return _Bank(similarity, self._labels[slots, lines].flatten(1, 2), outside)

    def _features_of(self, patches: Tensor) -> Tensor:
        return self._lines(functional.normalize(patches.float(), dim=0))

    def _lines(self, maps: Tensor) -> Tensor:
        """Turn (D, h, w) into (lines, columns, D), lines across the longer side."""
        return maps.permute((1, 2, 0) if self._upright else (2, 1, 0)).contiguous()


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


def _strips(rules: Rules, lines: int, columns: int, device: torch.device) -> list[_Strip]:
    """Cut a grid into strips, each with what its windows reach."""
    reach, wide = rules.radius or lines, STRIP.get(device.type, STRIP["cpu"])
    strips = []
    for start in range(0, lines, wide):
        stop = min(start + wide, lines)
        low, high = max(0, start - reach), min(lines, stop + reach)
        outside = outside_window(rules, range(start, stop), range(low, high), columns)
        strips.append(
            _Strip(start, stop, low, high, send(outside, device) if rules.radius else None)
        )
    return strips


def outside_window(rules: Rules, queries: range, keys: range, columns: int) -> Tensor:
    """Mark the keys that are beyond each query's window, shape (queries, keys) in tokens."""
    along = (torch.tensor(queries)[:, None] - torch.tensor(keys)).abs()[:, None, :, None]
    column = torch.arange(columns)
    across = (column[:, None] - column).abs()[None, :, None, :]
    if rules.window == "square":
        far = (along > rules.radius) | (across > rules.radius)
    else:
        far = along**2 + across**2 >= rules.radius**2
    return far.reshape(len(queries) * columns, len(keys) * columns)
