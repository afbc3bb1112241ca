"""Logistic regression, object discovery and hummingbird: ours and the reference, same inputs.

python -m benchmarks.protocols [--lost DIR] [--tokencut DIR] [--hummingbird DIR] [--memory N ...]

The references are checkouts of valeoai/LOST, YangtaoWANG95/TokenCut and
vpariza/open-hummingbird-eval, whose own functions are timed; without its folder, one is left out.
scikit-learn's L-BFGS stands for cuML's, which DINOv2 runs and which needs a GPU. Both sides get the
same drawn features and must answer alike. `product`, in shares of our time, is one whole product of
the features that are compared: an exact answer can hardly do without it.
"""

import argparse
import importlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.stopwatch import conditions, one_core, race
from vitbench.kit import Bank
from vitbench_protocols.discovery.regions import lost, token_cut
from vitbench_protocols.discovery.running import scaled
from vitbench_protocols.logistic.fitting import fit
from vitbench_protocols.segmentation.dense_knn import Retrieval, class_shares
from vitbench_protocols.segmentation.hummingbird import rare_patches
from vitbench_protocols.segmentation.inference import classify_square
from vitbench_protocols.segmentation.scores import Tally, confusion, summarize

GOAL = 2.0  # times as fast as the reference
WIDTH, PATCH = 384, 16  # of a ViT-S/16
GRID = (30, 40)  # patches of an image of 480 x 640 px, as discovery sees it
SIDE, CLASSES, NEIGHBORS, TEMPERATURE = 512, 21, 30, 0.02  # as hummingbird sees VOC
KEPT, SCORED = 256, 4  # patches that each training image leaves; validation images
C_VALUES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True, slots=True)
class Pair:
    """What is timed: the same answer found by us and by the reference."""

    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    product: Callable[[], Any]  # of the features that are compared
    alike: Callable[[Any, Any], bool]


def main() -> int:
    """Print a line for each comparison; 1 where one misses the goal or answers differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for peer in ("lost", "tokencut", "hummingbird"):
        parser.add_argument(f"--{peer}", type=Path, metavar="DIR")
    parser.add_argument("--memory", type=int, nargs="+", default=[2048, 10_240])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(conditions(), flush=True)
    with one_core():
        passed = [
            compared(name, pair, asked.rounds)
            for name, pair in pairs(asked.lost, asked.tokencut, asked.hummingbird, asked.memory)
        ]
    return int(not all(passed))


def pairs(
    lost_folder: Path | None,
    tokencut_folder: Path | None,
    hummingbird_folder: Path | None,
    memories: list[int],
) -> Iterator[tuple[str, Pair]]:
    """Yield what is compared, by name."""
    yield f"logistic, {len(C_VALUES)} values of C", logistic()
    if lost_folder:
        yield "discovery, LOST", lost_boxes(module(lost_folder, "object_discovery"))
    if tokencut_folder:
        yield "discovery, TokenCut", token_cut_boxes(module(tokencut_folder, "object_discovery"))
    if hummingbird_folder:
        peer = module(hummingbird_folder, "hbird.hbird_eval")
        for memory in memories:
            yield f"hummingbird, memory of {memory:,}", hummingbird(peer, memory)


def compared(name: str, pair: Pair, rounds: int) -> bool:
    """Time both sides and print it; whether they answer alike and ours is fast enough."""
    alike = pair.alike(pair.ours(), pair.theirs())
    taken = race({"ours": pair.ours, "theirs": pair.theirs, "product": pair.product}, rounds)
    ours, theirs, product = (taken[side].least for side in ("ours", "theirs", "product"))
    print(f"{name}: {theirs / ours:.1f} x; product {100 * product / ours:.0f} %", flush=True)
    for side in ("ours", "theirs"):
        print(f"  {side:6} {taken[side]}", flush=True)
    if not alike:
        print("  they do not answer alike", flush=True)
    return alike and theirs >= GOAL * ours


def module(folder: Path, name: str) -> ModuleType:
    """Import a module of a checkout; what only reads data sets is replaced."""
    for read in ("datasets", "hbird.data"):
        sys.modules[read] = mock.MagicMock()
    sys.modules.pop(name, None)
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


def logistic() -> Pair:
    """Compare a sweep of C: 1,000 images of 10 classes; a few directions are strong."""
    from sklearn.linear_model import LogisticRegression

    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(1000) % 10
    centers = torch.randn(10, WIDTH, generator=generator, dtype=torch.float64)
    noise = torch.randn(len(labels), WIDTH, generator=generator, dtype=torch.float64)
    scale = torch.logspace(0.5, -1, WIDTH, dtype=torch.float64)
    features = (centers[labels] + 3 * noise) * scale

    def ours() -> Tensor:
        found = fit(features, labels, C_VALUES)
        return torch.stack(
            [features @ w.T + b for w, b in zip(found.weight, found.bias, strict=True)]
        )

    def theirs() -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says so where 1,000 iterations are too few
            fitted = [
                LogisticRegression(C=c, max_iter=1000, tol=1e-12).fit(features, labels)
                for c in C_VALUES
            ]
        return torch.stack([torch.from_numpy(one.decision_function(features)) for one in fitted])

    def alike(one: Tensor, other: Tensor) -> bool:
        return bool(((one.softmax(2) - other.softmax(2)).abs() < 1e-2).all())

    return Pair(ours, theirs, lambda: features.T @ features, alike)


def object_before_ground() -> Tensor:
    """Return drawn features (D, h, w) of one object: of two equal ones, any may be the seed."""
    generator = torch.Generator().manual_seed(0)
    ground, thing = torch.randn(2, WIDTH, generator=generator)
    features: Tensor = ground.repeat(*GRID, 1)
    features[8:20, 10:24] = thing - 0.3 * ground
    features += 0.6 * torch.randn(features.shape, generator=generator)
    return features.permute(2, 0, 1).contiguous()


def lost_boxes(peer: ModuleType) -> Pair:
    """Compare LOST on one image."""
    features = object_before_ground()
    rows, (height, width) = features.flatten(1).T, (PATCH * side for side in GRID)

    def theirs() -> Any:
        return peer.lost(rows[None], GRID, [PATCH, PATCH], (3, height, width), k_patches=100)[0]

    return Pair(
        lambda: scaled(lost(features, 100), PATCH, (width, height)),
        theirs,
        lambda: rows @ rows.T,
        np.array_equal,
    )


def token_cut_boxes(peer: ModuleType) -> Pair:
    """Compare TokenCut on one image."""
    features = object_before_ground()
    rows, (height, width) = features.flatten(1).T, (PATCH * side for side in GRID)
    with_class_token = torch.cat([torch.zeros(1, WIDTH), rows])[None]

    def theirs() -> Any:
        return peer.ncut(with_class_token, GRID, [PATCH, PATCH], (3, height, width), 0.2, 1e-5)[0]

    return Pair(
        lambda: scaled(token_cut(features, 0.2), PATCH, (width, height)),
        theirs,
        lambda: rows @ rows.T,
        np.array_equal,
    )


@dataclass(frozen=True, slots=True)
class Drawn:
    """Images as features of their patches and classes of their pixels."""

    features: Tensor  # (n, N, D)
    truth: Tensor  # (n, SIDE, SIDE) int64


def drawn_images(count: int, seed: int) -> Drawn:
    """Draw images of areas of a class, and features that tell of it."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(CLASSES, WIDTH, generator=torch.Generator().manual_seed(99))
    areas = torch.randint(CLASSES, (count, 8, 8), generator=generator)
    truth = areas.repeat_interleave(SIDE // 8, 1).repeat_interleave(SIDE // 8, 2)
    truth = truth.roll((5, 7), (1, 2))  # so that patches hold several classes
    seen = truth[:, PATCH // 2 :: PATCH, PATCH // 2 :: PATCH].flatten(1)
    noise = torch.randn(*seen.shape, WIDTH, generator=generator)
    return Drawn(directions[seen] + 2 * noise, truth)


def hummingbird(peer: ModuleType, memory: int) -> Pair:
    """Compare all but the network: what is remembered, found, enlarged and counted; the mIoU."""
    train, val = drawn_images(max(1, memory // KEPT), seed=1), drawn_images(SCORED, seed=2)
    queries, bank = (normalize(torch.randn(SCORED * 1024, WIDTH)), torch.randn(memory, WIDTH))

    sys.modules["hbird.nn.search_faiss"] = mock.Mock(NearestNeighborSearchFaiss=FaissOnCpu)
    logging.getLogger(peer.__name__).setLevel(logging.WARNING)
    peer.tqdm = lambda items, **_: items  # type: ignore[attr-defined]

    def theirs() -> float:
        torch.manual_seed(0)
        whole = peer.HbirdEvaluation(
            Network(train),
            batches(train),
            CLASSES,
            NEIGHBORS,
            nn_method="faiss",
            memory_size=memory,
            dataset_size=len(train.truth),
        )
        whole.feature_extractor = Network(val)
        return 100 * float(np.mean(whole.evaluate(batches(val), SIDE // PATCH)))

    def ours() -> float:
        torch.manual_seed(0)
        tokens, shares = [], []
        for features, truth in zip(train.features, train.truth.numpy(), strict=True):
            found = class_shares(truth.astype(np.int16), PATCH, CLASSES)
            chosen = rare_patches(found, torch.rand(len(found)).numpy(), memory // len(train.truth))
            tokens.append(normalize(features[chosen], dim=1))
            shares.append(torch.from_numpy(found)[chosen])
        reader = SimpleNamespace(
            patch_px=PATCH, device=torch.device("cpu"), normalization=lambda x: x
        )
        segmenter = Retrieval(
            reader,  # type: ignore[arg-type]
            Bank(torch.cat(tokens), engine="torch"),
            torch.cat(shares),
            k=NEIGHBORS,
            temperature=TEMPERATURE,
        )
        tally, blank = Tally(CLASSES), np.zeros((SIDE, SIDE, 3), np.uint8)
        for place, truth in enumerate(val.truth.numpy().astype(np.int16)):
            rows = normalize(val.features[place], dim=1)[None]
            reader.tokens = lambda _, rows=rows: rows
            tally.add(place, confusion(truth, classify_square(SIDE, blank, segmenter), CLASSES))
        return summarize(tally.items([str(place) for place in range(SCORED)]))[0].value or 0.0

    return Pair(ours, theirs, lambda: queries @ bank.T, lambda one, other: abs(one - other) < 0.05)


class Network(torch.nn.Module):
    """Features as they were drawn, in the place of a network."""

    eval_spatial_resolution, d_model = SIDE // PATCH, WIDTH

    def __init__(self, images: Drawn) -> None:
        super().__init__()
        self.features = images.features

    def forward_features(self, images: Tensor) -> tuple[Tensor, None]:
        """Return features of images that hold their numbers."""
        return self.features[images[:, 0, 0, 0].long()], None


def batches(images: Drawn) -> list[tuple[Tensor, Tensor]]:
    """Return each image as its number, and its classes as parts of 255, rounded up."""
    numbers = torch.arange(len(images.truth)).view(-1, 1, 1, 1, 1).float()
    return [
        (number.expand(-1, 3, SIDE, SIDE), (truth[None, None] + 0.5) / 255)
        for number, truth in zip(numbers, images.truth, strict=True)
    ]


class FaissOnCpu:
    """FAISS's exact index of the CPU, in the place of the reference's for GPUs."""

    def __init__(self, memory: Tensor, n_neighbors: int) -> None:
        import faiss

        self.index, self.k = faiss.IndexFlatIP(memory.shape[1]), n_neighbors
        self.index.add(memory.numpy())

    def find_nearest_neighbors(self, queries: Tensor) -> tuple[Any, Any]:
        """Return the places of the nearest rows, and how similar they are."""
        similarities, places = self.index.search(queries.numpy(), self.k)
        return places, similarities


if __name__ == "__main__":
    sys.exit(main())
