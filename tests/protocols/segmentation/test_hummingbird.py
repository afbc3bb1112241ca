from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vitbench.api import Evaluation, RunOptions, errors, evaluate, resolve
from vitbench.kit import Bank
from vitbench_protocols.segmentation import Segmentation
from vitbench_protocols.segmentation.dense_knn import Retrieval
from vitbench_protocols.segmentation.hummingbird import rare_patches
from vitbench_protocols.segmentation.settings import DenseKnn, Hummingbird, Inference, Squared


def run(
    maps: Path, results: Path, method: Hummingbird | DenseKnn, inference: Inference | Squared
) -> Evaluation:
    protocol = Segmentation(method=method, inference=inference)
    options = RunOptions(data=str(maps), results=results, workers=2)
    return evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)


def test_colors_are_retrieved_and_predictions_have_the_images_size(
    maps: Path, tmp_path: Path
) -> None:
    found = run(maps, tmp_path, Hummingbird(k=3, memory=600), Squared(size=64))
    primary = found.record.primary()
    assert primary is not None
    assert (primary.value or 0) > 60
    assert found.record.protocol.settings["method"]["kind"] == "Hummingbird"
    again = run(maps, tmp_path, Hummingbird(k=3, memory=600, engine="torch"), Squared(size=64))
    assert not again.ran


def test_squares_serve_the_other_methods(maps: Path, tmp_path: Path) -> None:
    primary = run(maps, tmp_path, DenseKnn(k=3), Squared(size=64)).record.primary()
    assert primary is not None
    assert (primary.value or 0) > 60


@pytest.mark.parametrize("inference", [Inference(), Squared(size=60)])
def test_images_must_be_squared_to_whole_patches(
    maps: Path, tmp_path: Path, inference: Any
) -> None:
    with pytest.raises(errors.SettingError, match=r"squared|multiple"):
        run(maps, tmp_path, Hummingbird(), inference)


def test_patches_of_rare_classes_come_first_and_those_of_none_never() -> None:
    shares = np.zeros((50, 3), np.float16)
    shares[:40, 0] = 1
    shares[40:42, 1] = 1
    draws = np.random.default_rng(0).uniform(0.3, 1, 50)
    assert {40, 41} == {*rare_patches(shares, draws, 2).tolist()}
    assert sorted(rare_patches(shares, draws, 60).tolist()) == [*range(42)]


class Given:
    """Tokens in the place of a network's."""

    patch_px, device, normalization = 8, torch.device("cpu"), None

    def __init__(self, tokens: Tensor) -> None:
        self._tokens = tokens

    def tokens(self, images: Tensor) -> Tensor:
        return self._tokens[None]


def test_a_perfect_a_worst_and_a_chance_memory() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(1600) % 4
    noise = torch.randn(2, 1600, 16, generator=generator)
    told = torch.eye(16)[labels] + 0.05 * noise

    def right(memory: Tensor, queries: Tensor, truth: Tensor) -> float:
        reader: Any = Given(torch.nn.functional.normalize(queries, dim=1))
        bank = Bank(torch.nn.functional.normalize(memory, dim=1))
        shares = torch.nn.functional.one_hot(labels, 4)
        found = Retrieval(reader, bank, shares, k=30, temperature=0.02)
        classes = found.scores(torch.zeros(1, 3, 320, 320)).argmax(dim=1).flatten()
        return float((classes == truth).double().mean())

    assert right(told[0], told[1], labels) == 1.0
    assert right(told[0], told[1], (labels + 1) % 4) == 0.0
    assert right(noise[0], noise[1], labels) == pytest.approx(0.25, abs=0.05)
