"""The vote and the search against the official k-NN classifier and scikit-learn."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from vitbench.neighbors import Engine, search, vote

VALUES = Path(__file__).parent / "values"
ENGINES: tuple[Engine, ...] = ("faiss", "torch")


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(VALUES / "knn.npz", allow_pickle=False) as arrays:
        return {
            name: torch.from_numpy(arrays[name])
            for name in arrays.files
            if arrays[name].dtype.kind in "fi"
        }


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("k", [1, 3, 5, 10, 20, 100, 200])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_accuracies_equal_the_official_classifier(
    golden: dict[str, torch.Tensor], engine: Engine, k: int, temperature: float
) -> None:
    expected = json.loads((VALUES / "knn_results.json").read_text())[f"k{k}_T{temperature}_nc10"]
    found = search(golden["train_norm"], golden["test_norm"], 200, engine=engine)
    ranked = vote(found, golden["train_labels"], classes=10, k=k, temperature=temperature)
    hits = ranked == golden["test_labels"][:, None]
    assert 100 * hits[:, 0].double().mean() == pytest.approx(expected[0], abs=1e-9)
    if k >= 5:  # below, classes without a vote tie and the reference's order among them is chance
        top5 = 100 * hits.any(dim=1).double().mean()
        assert top5 == pytest.approx(expected[1], abs=0.5 if k == 5 else 1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_neighbors_equal_scikit_learn(golden: dict[str, torch.Tensor], engine: Engine) -> None:
    bank, queries = golden["train_norm"], golden["test_norm"]
    oracle = NearestNeighbors(n_neighbors=20, algorithm="brute").fit(bank.double().numpy())
    expected = oracle.kneighbors(queries.double().numpy(), return_distance=False)
    assert (search(bank, queries, 20, engine=engine).indices.numpy() == expected).all()
