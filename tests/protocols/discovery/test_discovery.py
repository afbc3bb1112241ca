from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vitbench.api import (
    Backbone,
    Evaluation,
    RunOptions,
    errors,
    evaluate,
    open_dataset,
    read_items,
    resolve,
)
from vitbench.models.timm_backbone import TimmBackbone, build_backbone
from vitbench_protocols.discovery import Discovery, running
from vitbench_protocols.discovery.regions import Region, lost, token_cut
from vitbench_protocols.discovery.running import overlaps


def scene(height: int = 9, width: int = 12) -> Tensor:
    """Return features of one object, rows 2 to 4 and columns 3 to 6, before a ground."""
    generator = torch.Generator().manual_seed(0)
    ground, thing = torch.eye(16)[0], torch.eye(16)[1] - 0.2 * torch.eye(16)[0]
    features = ground.repeat(height, width, 1)
    features[2:5, 3:7] = thing
    features += 0.01 * torch.randn(features.shape, generator=generator)
    return features.permute(2, 0, 1)


@pytest.mark.parametrize("find", [lambda f: lost(f, 100), lambda f: token_cut(f, 0.2)])
def test_an_object_before_a_ground_is_found(find: Any) -> None:
    region = find(scene())
    assert region.box == (3, 2, 7, 5)
    assert region.mask.sum() == 12
    assert region.mask[region.seed]


@pytest.mark.parametrize("find", [lambda f: lost(f, 100), lambda f: token_cut(f, 0.2)])
@pytest.mark.parametrize("grid", [(1, 1), (1, 2), (5, 7)])
def test_equal_patches_give_some_region(find: Any, grid: tuple[int, int]) -> None:
    left, top, right, bottom = find(torch.ones(4, *grid)).box
    assert 0 <= left < right <= grid[1]
    assert 0 <= top < bottom <= grid[0]


def test_overlaps_of_known_boxes() -> None:
    boxes = np.array([[0, 0, 4, 4], [2, 0, 6, 4], [8, 8, 9, 9]], dtype=np.float64)
    np.testing.assert_allclose(overlaps((0, 0, 4, 4), boxes), [1, 1 / 3, 0], atol=1e-9)


def test_keys_are_those_that_attention_compares() -> None:
    backbone = build_backbone("vit_mini_patch8_64", seed=0).eval()
    images = torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    found: list[Tensor] = []
    backbone.blocks[-1].attn.qkv.register_forward_hook(
        lambda _module, _inputs, output: found.append(output)
    )
    with torch.inference_mode():
        keys = backbone.keys(images)
    (qkv,) = found
    width = backbone.info.embed_dim
    expected = qkv[0, backbone.info.prefix_tokens :, width : 2 * width]
    assert keys.shape == (1, width, 4, 6)
    torch.testing.assert_close(keys[0].flatten(1).T, expected)


def run(results: Path, **settings: Any) -> Evaluation:
    options = RunOptions(data="synthetic", results=results, limit=6)
    protocol = Discovery(**{"split": "val", "pictures": 2, **settings})
    return evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)


@pytest.mark.parametrize("method", ["lost", "tokencut"])
def test_a_run_scores_and_draws(tmp_path: Path, method: str) -> None:
    found = run(tmp_path, method=method)
    items = read_items(found.record, tmp_path)
    for score in found.record.scores:
        assert np.nanmean(items[score.metric]) == score.value
    drawn = [name for name in found.record.artifacts if name.startswith("box ")]
    assert len(drawn) == 2
    for name in drawn:
        with Image.open(found.path.parent / found.record.artifacts[name]) as picture:
            assert max(picture.size) <= 320


def test_a_network_without_keys_is_told_so_and_its_tokens_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TimmBackbone, "keys", Backbone.keys)
    with pytest.raises(errors.MissingAbility, match="keys"):
        run(tmp_path)
    assert run(tmp_path, features="tokens").ran


def test_regions_of_a_few_patches_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = np.zeros((40, 40), dtype=bool)
    one[3, 4] = True
    monkeypatch.setattr(running, "find_region", lambda *_: Region(one, (3, 4)))
    record = run(tmp_path).record
    assert any("half of the regions hold less than 0.1 %" in note for note in record.notes)


@pytest.mark.parametrize("whole", [True, False])
def test_boxes_of_objects_are_all_found_and_single_patches_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    samples = open_dataset("synthetic", "instances", "val")
    boxes = {
        np.asarray(sample.image).tobytes(): max(
            (item.box for item in sample.target.items if not item.crowd),
            key=lambda box: box[2] * box[3],
            default=(0.0, 0.0, 1.0, 1.0),  # such an image does not count
        )
        for sample in (samples[place] for place in range(6))
    }

    def perfect(_s: Any, _b: Any, _c: Any, image: Image.Image) -> Region:
        left, top, width, height = boxes[np.asarray(image).tobytes()]
        mask = np.zeros((100, 100), dtype=bool)
        end = -int(-(top + height) // 8) if whole else int(top) // 8 + 1
        side = -int(-(left + width) // 8) if whole else int(left) // 8 + 1
        mask[int(top) // 8 : end, int(left) // 8 : side] = True
        return Region(mask, (int(top) // 8, int(left) // 8))

    monkeypatch.setattr(running, "find_region", perfect)
    scores = {score.metric: score.value for score in run(tmp_path).record.scores}
    assert scores["corloc"] == (100.0 if whole else 0.0)


def test_of_two_equal_objects_the_first_is_found() -> None:
    """Patches of both are similar to equally many; the reference takes any of them as its seed."""
    directions = torch.eye(16)
    features = directions[0].repeat(20, 30, 1)
    features[2:12, 3:15] = directions[1] - 0.3 * directions[0]
    features[8:18, 17:29] = directions[2] - 0.3 * directions[0]
    assert lost(features.permute(2, 0, 1), 100).box == (3, 2, 15, 12)


def test_the_box_of_the_whole_image_is_scored_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = np.ones((100, 100), dtype=bool)
    monkeypatch.setattr(running, "find_region", lambda *_: Region(everything, (0, 0)))
    scores = {score.metric: score.value for score in run(tmp_path).record.scores}
    assert scores["corloc"] == scores["whole_image"]
