from pathlib import Path

import pytest

from vitbench.models.checkpoint import resolve
from vitbench.testing.supervised import train_supervised


def test_it_writes_a_checkpoint_that_says_everything_of_itself(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    path = tmp_path / "supervised.safetensors"
    train_supervised(path, steps=2, progress=lambda *state: told.append(state))
    found = resolve(str(path))
    assert (found.method, found.architecture.name) == ("supervised", "vit_micro_patch8_64")
    assert found.sha256 != resolve("random:vit_micro_patch8_64").sha256
    assert told[-2:] == [("training a small supervised network", done, 2) for done in (1, 2)]


@pytest.mark.parametrize(("seed", "same"), [(0, True), (1, False)])
def test_the_seed_decides_the_weights(seed: int, same: bool, tmp_path: Path) -> None:
    train_supervised(tmp_path / "a.safetensors", steps=1, seed=0)
    train_supervised(tmp_path / "b.safetensors", steps=1, seed=seed)
    first, second = (resolve(str(tmp_path / f"{name}.safetensors")).sha256 for name in "ab")
    assert (first == second) == same
