from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from vitbench.api import Evaluation, RunOptions, evaluate, read_items, resolve
from vitbench.kit import KeypointPair
from vitbench_protocols.correspondence import Correspondence
from vitbench_protocols.correspondence.matching import find_points


def run(results: Path, **settings: Any) -> Evaluation:
    options = RunOptions(data="synthetic", results=results)
    protocol = Correspondence(**{"size": 96, "pictures": 3, **settings})
    return evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)


def test_equal_maps_find_every_point_and_shuffled_ones_few() -> None:
    generator = torch.Generator().manual_seed(0)
    cells = torch.nn.functional.normalize(torch.randn(32, 12, 12, generator=generator), dim=0)
    cell = np.argwhere(np.ones((12, 12)))[:, ::-1].astype(np.float64)
    corners: NDArray[np.float64] = cell * (96 / 12)  # x, y of each cell
    asked = corners / 96 * (96 * 12 / 11)  # corners of the reference's grid are its cells' middles
    pair = KeypointPair("0", "cat", 0, Path("a"), Path("b"), asked, corners, 96.0)
    np.testing.assert_allclose(find_points(pair, cells, cells, (96, 96)), corners, atol=1e-4)
    order = torch.randperm(144, generator=generator)
    mixed = cells.flatten(1)[:, order].view_as(cells)
    found = find_points(pair, cells, mixed, (96, 96))
    assert np.mean(np.linalg.norm(found - corners, axis=1) < 9.6) < 0.15


def test_a_map_turned_round_finds_no_point_of_a_corner() -> None:
    generator = torch.Generator().manual_seed(0)
    cells = torch.nn.functional.normalize(torch.randn(32, 12, 12, generator=generator), dim=0)
    corner = np.argwhere(np.ones((4, 4)))[:, ::-1].astype(np.float64) * 8
    pair = KeypointPair("0", "cat", 0, Path("a"), Path("b"), corner * 12 / 11, corner, 96.0)
    found = find_points(pair, cells, cells.flip(1, 2), (96, 96))
    assert (np.linalg.norm(found - corner, axis=1) > 9.6).all()


def test_a_run_scores_by_pair_by_point_and_by_category(tmp_path: Path) -> None:
    found = run(tmp_path)
    scores = {score.metric: score.value or 0 for score in found.record.scores}
    assert scores["pck10"] > 15  # the same scene, moved; by chance 3
    assert scores["pck10"] >= scores["pck05"] >= scores["pck01"]
    assert scores["pck10_points"] == pytest.approx(scores["pck10"])  # six points in each pair
    items = read_items(found.record, tmp_path)
    assert items["pck10"].mean() == scores["pck10"]
    table = (found.path.parent / found.record.artifacts["categories"]).read_text().splitlines()
    assert table[0] == "category,pairs,view change 0,view change 1,view change 2,all"
    assert [line.split(",")[0] for line in table[1:]] == ["wave", "weave"]
    drawn = [name for name in found.record.artifacts if name.startswith("points ")]
    assert len(drawn) == 3
    with Image.open(found.path.parent / found.record.artifacts[drawn[0]]) as picture:
        assert picture.size == (560, 280)


def test_another_block_is_another_protocol(tmp_path: Path) -> None:
    assert run(tmp_path).record.protocol.spec_id != run(tmp_path, layer=0).record.protocol.spec_id
