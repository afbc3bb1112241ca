"""hummingbird, discovery and logistic: ours against the reference's own functions, same inputs.

python benchmarks/protocols.py --peer-lost DIR --peer-tokencut DIR --peer-hummingbird DIR

Both sides get the same drawn features and answer alike, which is checked. The references are
checkouts (valeoai/LOST, YangtaoWANG95/TokenCut, vpariza/open-hummingbird-eval); scikit-learn's
L-BFGS stands for DINOv2's, which runs cuML's on a GPU only. A peer that is not given is left out.
"""

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from stopwatch import conditions, one_core, race
from torch import Tensor

from vitbench_protocols.discovery.regions import lost, token_cut
from vitbench_protocols.discovery.running import scaled
from vitbench_protocols.logistic.fitting import fit
from vitbench_protocols.segmentation.dense_knn import Bank, Retrieval

PATCH, GRID, WIDTH = 16, (30, 40), 384  # an image of 480 x 640 px, ViT-S/16
CLASSES, NEIGHBORS, TEMPERATURE = 21, 30, 0.02
Pair = tuple[Callable[[], Any], Callable[[], Any]]  # ours, theirs


def main() -> None:
    """Time what peers are given for, and print how much faster ours is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for peer in ("lost", "tokencut", "hummingbird"):
        parser.add_argument(f"--peer-{peer}", type=Path)
    parser.add_argument("--memory", type=int, default=20_000, help="patches of hummingbird")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    pairs = {"logistic, 5 values of C": logistic()}
    if asked.peer_lost:
        pairs["discovery, LOST"] = discovery(module(asked.peer_lost, "object_discovery"), "lost")
    if asked.peer_tokencut:
        pairs["discovery, TokenCut"] = discovery(
            module(asked.peer_tokencut, "object_discovery"), "ncut"
        )
    if asked.peer_hummingbird:
        peer = module(asked.peer_hummingbird, "hbird.hbird_eval")
        pairs["hummingbird, one image"] = hummingbird(peer.HbirdEvaluation, asked.memory)
    print(conditions())
    with one_core():
        for name, (ours, theirs) in pairs.items():
            times = race({"ours": ours, "theirs": theirs}, asked.rounds)
            ratio = times["theirs"].least / times["ours"].least
            print(f"{name}\n  ours   {times['ours']}\n  theirs {times['theirs']}  {ratio:.1f}x")


def module(folder: Path, name: str) -> ModuleType:
    """Import a module of a checkout; the data sets that it imports are replaced."""
    sys.path.insert(0, str(folder))
    sys.modules.pop(name, None)
    sys.modules["datasets"] = mock.MagicMock()
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        del sys.modules["datasets"]


def scene() -> Tensor:
    """Return drawn features (D, h, w) of an object before a ground."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(2, WIDTH, generator=generator)
    features = directions[0].repeat(*GRID, 1)
    features[8:20, 10:24] = directions[1] - 0.3 * directions[0]
    features += 0.6 * torch.randn(features.shape, generator=generator)
    return features.permute(2, 0, 1).contiguous()


def discovery(peer: ModuleType, method: str) -> Pair:
    """Return both sides of LOST (`lost`) or TokenCut (`ncut`) on one image."""
    features = scene()
    rows = features.flatten(1).T[None]
    size = (3, PATCH * GRID[0], PATCH * GRID[1])
    first = torch.cat([torch.zeros(1, 1, WIDTH), rows], dim=1)  # with a class token
    scales = [PATCH, PATCH]

    def ours() -> tuple[float, ...]:
        region = lost(features, 100) if method == "lost" else token_cut(features, 0.2)
        return scaled(region, PATCH, (size[2], size[1]))

    def theirs() -> tuple[float, ...]:
        if method == "lost":
            return tuple(peer.lost(rows, GRID, scales, size, k_patches=100)[0])
        return tuple(peer.ncut(first, GRID, scales, size, 0.2, 1e-5)[0])

    check(np.allclose(ours(), theirs()), f"{method}: {ours()} and {theirs()}")
    return ours, theirs


def hummingbird(peer: Any, memory: int) -> Pair:
    """Return both sides of finding the classes of one image's patches in a memory."""
    import faiss

    generator = torch.Generator().manual_seed(0)
    bank, queries = (
        torch.nn.functional.normalize(torch.randn(n, WIDTH, generator=generator), dim=1)
        for n in (memory, GRID[0] * GRID[1])
    )
    labels = torch.rand(memory, CLASSES, generator=generator).softmax(dim=1)
    reader = SimpleNamespace(
        patch_px=PATCH,
        device=torch.device("cpu"),
        normalization=None,
        tokens=lambda _: queries[None],
    )
    retrieval = Retrieval(
        reader,  # type: ignore[arg-type]
        Bank(bank, engine="faiss"),
        labels,
        k=NEIGHBORS,
        temperature=TEMPERATURE,
    )
    images = torch.zeros(1, 3, PATCH * GRID[0], PATCH * GRID[1])
    index = faiss.IndexFlatIP(WIDTH)  # in the place of its GPU index
    index.add(bank.numpy())
    own = SimpleNamespace(
        NN_algorithm=SimpleNamespace(
            find_nearest_neighbors=lambda q: index.search(q.numpy(), NEIGHBORS)[::-1]
        ),
        n_neighbours=NEIGHBORS,
        feature_memory=bank,
        label_memory=labels,
    )

    def ours() -> Tensor:
        return retrieval.scores(images)

    def theirs() -> Tensor:
        keys, values = peer._find_nearest_key_to_query(own, queries[None])
        found: Tensor = peer._cross_attention(own, queries[None], keys, values, TEMPERATURE)
        return found

    same = torch.allclose(ours().flatten(2).transpose(1, 2), theirs(), atol=1e-4)
    check(same, "hummingbird: other shares of classes")
    return ours, theirs


def logistic() -> Pair:
    """Return both sides of a sweep of C: 2,000 images, 20 classes, as features of a ViT-S are."""
    from sklearn.linear_model import LogisticRegression

    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(2000) % 20
    centers = torch.randn(20, WIDTH, generator=generator, dtype=torch.float64)
    scale = torch.logspace(1, -1.5, WIDTH, dtype=torch.float64)  # a few strong directions
    noise = torch.randn(2000, WIDTH, generator=generator, dtype=torch.float64)
    features = (centers[labels] + 3 * noise) * scale
    c_values = (1e-4, 1e-2, 1.0, 1e2, 1e4)

    def ours() -> Any:
        return fit(features, labels, c_values)

    def theirs() -> list[Any]:
        return [
            LogisticRegression(C=c, max_iter=1000, tol=1e-12).fit(features.numpy(), labels.numpy())
            for c in c_values
        ]

    found = fit(features, labels, c_values[:2]).ranked(features, 1)[1, :, 0].numpy()
    peer = LogisticRegression(C=c_values[1], max_iter=1000, tol=1e-12)
    agree = np.mean(found == peer.fit(features.numpy(), labels.numpy()).predict(features.numpy()))
    check(agree > 0.995, f"logistic: {100 * agree:.2f} % of predictions agree")
    return ours, theirs


def check(same: bool, text: str) -> None:
    """Stop where both sides do not answer alike."""
    if not same:
        raise SystemExit(f"not alike: {text}")


if __name__ == "__main__":
    main()
