"""Memory and retrieval against open-hummingbird-eval, given its features and draws."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitbench.kit import Bank
from vitbench_protocols.segmentation.dense_knn import Retrieval, class_shares
from vitbench_protocols.segmentation.hummingbird import rare_patches

VALUES = Path(__file__).parent / "values" / "hummingbird.npz"
PATCH, CLASSES, KEPT, K = 8, 4, 10, 5


class Given:
    """Features as they were given to the reference, in the place of a network."""

    patch_px, device, normalization = PATCH, torch.device("cpu"), None

    def __init__(self, tokens: Tensor) -> None:
        self._tokens = torch.nn.functional.normalize(tokens, dim=-1)

    def tokens(self, images: Tensor) -> Tensor:
        return self._tokens


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[Any]]:
    with np.load(VALUES, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_the_same_patches_are_remembered(golden: dict[str, NDArray[Any]]) -> None:
    tokens = golden["train"] / np.linalg.norm(golden["train"], axis=2, keepdims=True)
    for image, truth in enumerate(golden["labels"]):
        shares = class_shares(truth.astype(np.int16), PATCH, CLASSES)
        chosen = rare_patches(shares, golden["draws"][image].astype(np.float64), KEPT).numpy()
        part = slice(image * KEPT, (image + 1) * KEPT)
        np.testing.assert_allclose(tokens[image][chosen], golden["memory"][part], atol=1e-6)
        np.testing.assert_allclose(shares[chosen], golden["memory_labels"][part], atol=1e-3)


def test_the_same_labels_are_retrieved(golden: dict[str, NDArray[Any]]) -> None:
    memory = torch.from_numpy(golden["memory"])
    labels = torch.from_numpy(golden["memory_labels"])
    reader: Any = Given(torch.from_numpy(golden["val"]))
    segmenter = Retrieval(reader, Bank(memory), labels, k=K, temperature=0.02)
    scores = segmenter.scores(torch.zeros(2, 3, 48, 48))
    np.testing.assert_allclose(scores.flatten(2).transpose(1, 2), golden["hat"], atol=1e-5)
    whole = torch.nn.functional.interpolate(scores, size=(48, 48), mode="bilinear")
    assert (whole.argmax(dim=1).numpy() == golden["predicted"]).mean() > 0.999
