"""Dense nearest neighbors: each patch takes the classes of the most similar training patches."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from vitbench.api import Backbone, Context
from vitbench.kit import (
    Bank,
    distributed,
    keyed_uniform,
    resize_indices,
)
from vitbench_protocols.segmentation.classes import NONE, Indices
from vitbench_protocols.segmentation.inference import Segmenter, normalized, padded
from vitbench_protocols.segmentation.predict import Problem
from vitbench_protocols.segmentation.scenes import Scene, scenes
from vitbench_protocols.segmentation.settings import DenseKnn


def remember(settings: DenseKnn, backbone: Backbone, problem: Problem) -> Segmenter:
    """Fill the memory."""
    reader = PatchReader(backbone, problem.context, settings.layer)
    share = max(1, settings.memory // len(problem.train))
    parts: dict[int, tuple[Tensor, Tensor]] = {}
    mine = distributed.share(range(len(problem.train)))
    workers = problem.context.workers
    for scene in scenes(problem.train, mine, problem.classes, workers=workers):
        tokens, classes = _remembered(scene, reader, problem)
        chosen = _chosen(len(tokens), share, problem.context.seed, scene.place)
        parts[scene.place] = (tokens[chosen].cpu(), classes[chosen])
        problem.context.progress("remembering", scene.place + 1, len(problem.train), "images")
    whole = {place: part for found in distributed.gather(parts) for place, part in found.items()}
    ranked = [whole[place] for place in sorted(whole)]
    tokens, classes = (
        torch.cat(part).to(problem.context.device) for part in zip(*ranked, strict=True)
    )
    k = min(settings.k, len(tokens))
    if k < settings.k:
        problem.context.note(f"a memory of {k} patches: all of them are neighbors")
    bank = Bank(tokens, engine=settings.engine)
    return Retrieval(reader, bank, classes, k=k, temperature=settings.temperature)


def _remembered(scene: Scene, reader: "PatchReader", problem: Problem) -> tuple[Tensor, Tensor]:
    """Return the labeled patches of an image: features (n, D) and shares of classes (n, C)."""
    size = problem.inference.size_of((scene.truth.shape[0], scene.truth.shape[1]))
    image = padded(normalized(scene.image, size, reader), reader.patch_px)
    tokens = reader.tokens(image)[0]  # (h * w, D)
    shares = class_shares(resize_indices(scene.truth, size), reader.patch_px, len(problem.classes))
    labeled = torch.from_numpy(shares.sum(axis=1) > 0)
    return tokens[labeled.to(tokens.device)], torch.from_numpy(shares)[labeled]


class PatchReader:
    """Normalized features of patches."""

    def __init__(self, backbone: Backbone, context: Context, layer: int) -> None:
        self._backbone, self._context, self._layer = backbone, context, layer
        self.patch_px = backbone.info.stage(layer).stride
        self.device, self.normalization = context.device, context.normalization

    @torch.inference_mode()
    def tokens(self, images: Tensor) -> Tensor:
        """Return L2-normalized tokens (B, h * w, D) float32, row by row."""
        with self._context.autocast():
            (features,) = self._backbone(images, (self._layer,))
        tokens = features.patches.float().flatten(2).transpose(1, 2)
        return normalize(tokens, dim=-1)


class Retrieval:
    """A memory as a `Segmenter`."""

    def __init__(
        self, reader: PatchReader, bank: Bank, classes: Tensor, *, k: int, temperature: float
    ) -> None:
        self._reader, self._bank, self._classes = reader, bank, classes
        self._k, self._temperature = k, temperature
        self.patch_px, self.device = reader.patch_px, reader.device
        self.normalization = reader.normalization

    def scores(self, images: Tensor) -> Tensor:
        """See `Segmenter.scores`: shares of classes, adding up to 1."""
        grid = [side // self.patch_px for side in images.shape[-2:]]
        queries = self._reader.tokens(images).flatten(0, 1)
        found = self._bank.search(queries, self._k)
        weights = (found.similarities / self._temperature).softmax(dim=1)
        shares = torch.einsum("qk,qkc->qc", weights, self._classes[found.indices].float())
        return shares.view(len(images), *grid, -1).permute(0, 3, 1, 2)

    def probabilities(self, scores: Tensor) -> Tensor:
        """See `Segmenter.probabilities`: they are already."""
        return scores


def class_shares(truth: Indices, patch: int, classes: int) -> NDArray[np.float16]:
    """Return the shares of classes among the labeled pixels of each patch, (h * w, C) float16.

    Zero where no pixel is labeled. What exceeds whole patches counts as a patch of its own.
    """
    height, width = truth.shape
    padded = np.pad(truth, ((0, -height % patch), (0, -width % patch)), constant_values=NONE)
    h, w = padded.shape[0] // patch, padded.shape[1] // patch
    cells = padded.reshape(h, patch, w, patch).swapaxes(1, 2).reshape(h * w, patch * patch)
    known = cells != NONE
    row = np.broadcast_to(np.arange(h * w)[:, None], cells.shape)[known]
    counts = np.bincount(row * classes + cells[known], minlength=h * w * classes)
    counts = counts.reshape(h * w, classes)
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares.astype(np.float16)


def _chosen(patches: int, share: int, seed: int, place: int) -> Tensor:
    """Draw which patches of an image are remembered, in their order."""
    keys = keyed_uniform(seed, "memory", place, np.arange(patches), count=1)[:, 0]
    return torch.from_numpy(np.sort(np.argsort(keys, kind="stable")[:share]))
