"""The order in which PIL shrinks images is a fact of scores, where it is not today's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vitbench.api import RunOptions, evaluate, resolve, score
from vitbench.data.dataset import open_dataset
from vitbench.data.pil_order import pil_order
from vitbench.data.transforms import ImageView
from vitbench_protocols.davis.score import DavisMasks
from vitbench_protocols.knn import Knn

OLDER = {"pil": "before 13, widths first"}


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let PIL resize widths first, as it did before version 13."""
    resize = Image.Image.resize

    def widths_first(image: Image.Image, size: tuple[int, int], how: Any = None) -> Image.Image:
        return resize(resize(image, (size[0], image.height), how), size, how)

    monkeypatch.setattr(Image.Image, "resize", widths_first)
    pil_order.cache_clear()
    yield
    pil_order.cache_clear()


def recorded(folders: Path, results: Path) -> Any:
    options = RunOptions(data=str(folders), results=results, sanity_check=False)
    checkpoint = resolve("random:vit_micro_patch8_64")
    return evaluate(Knn(resize=32, crop=32), checkpoint, options).record


def test_scores_and_features_of_an_older_pil_are_their_own(
    folders: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    new, view = recorded(folders, tmp_path / "new"), ImageView().identity()
    request.getfixturevalue("older")
    assert pil_order() == OLDER
    old = recorded(folders, tmp_path / "old")
    assert old.protocol.spec_id != new.protocol.spec_id
    assert {**new.protocol.settings, **OLDER} == old.protocol.settings
    assert ImageView().identity() == {**view, **OLDER}


@pytest.mark.usefixtures("older")
def test_masks_that_are_scored_were_resized_by_nobody(tmp_path: Path) -> None:
    clip = open_dataset("synthetic", "clips", "val", limit=1)[0]
    options = RunOptions(data="synthetic", limit=1, results=tmp_path)
    found = score(DavisMasks(), clip.masks[0].parents[1], options)
    assert "pil" not in found.record.protocol.settings
