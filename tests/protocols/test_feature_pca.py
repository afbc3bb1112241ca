from pathlib import Path

import pytest
import torch
from PIL import Image

from vitbench.api import (
    Backbone,
    RunOptions,
    evaluate,
    read_items,
    resolve,
)
from vitbench.models.timm_backbone import TimmBackbone
from vitbench_protocols.feature_pca import FeaturePca
from vitbench_protocols.feature_pca.pictures import components, entropy, lit, spread


def test_patches_on_a_line_have_rank_one_and_noise_has_many() -> None:
    generator = torch.Generator().manual_seed(0)
    line = torch.linspace(-1, 1, 16)[:, None] * torch.randn(1, 8, generator=generator)
    noise = torch.randn(16, 8, generator=generator)
    rank, explained = spread(torch.stack([line, noise]))
    assert rank[0] == pytest.approx(1.0, abs=1e-3)
    assert 6 < rank[1] < 8
    assert explained[0] == pytest.approx(100.0, abs=1e-3)


def test_equal_singular_values_give_the_full_rank() -> None:
    square = torch.eye(4) - 0.25  # centered, three equal singular values
    rank, explained = spread(square[None])
    assert rank[0] == pytest.approx(3.0, abs=1e-4)
    assert explained[0] == pytest.approx(100.0, abs=1e-4)


def test_attention_on_one_patch_has_entropy_0_and_on_all_alike_100() -> None:
    one, even = torch.zeros(9), torch.full((9,), 1 / 9)
    one[3] = 1.0
    found = entropy(torch.stack([one, even]))
    assert found.tolist() == pytest.approx([0.0, 100.0], abs=1e-4)


def test_equal_features_have_equal_colors_in_every_image() -> None:
    patches = torch.randn(3, 12, 4, 4, generator=torch.Generator().manual_seed(1))
    patches[2] = patches[0]
    colors = components(patches)
    assert colors.shape == (3, 3, 4, 4)
    assert torch.equal(colors[0], colors[2])
    assert not torch.equal(colors[0], colors[1])
    assert torch.allclose(components(-patches), 255 - components(patches), atol=1e-2)


def test_the_brightest_place_is_where_attention_falls() -> None:
    attention = torch.zeros(1, 4, 4)
    attention[0, 1, 2] = 0.5
    picture = lit(torch.full((1, 3, 16, 16), 200.0), attention)
    row, column = divmod(int(picture[0, 0].argmax()), 16)
    assert (row // 4, column // 4) == (1, 2)
    assert picture[0, 0, -1, 0] == pytest.approx(24.0)


@pytest.mark.parametrize("attends", [True, False])
def test_a_run_draws_its_images_and_keeps_what_it_measured(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attends: bool
) -> None:
    monkeypatch.setattr("vitbench_protocols.feature_pca.EVEN", 101.0)
    if not attends:
        monkeypatch.setattr(TimmBackbone, "attention", Backbone.attention)
    protocol = FeaturePca(images=3, resize=64, crop=64)
    options = RunOptions(data=str(folders), results=tmp_path)
    found = evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)
    items = read_items(found.record, tmp_path)
    first, _, last = items["ids"].tolist()
    assert (first, last) == ("val/blue/0.png", "val/red/3.png")
    kinds = {name.partition(" ")[0] for name in found.record.artifacts}
    assert kinds == ({"image", "pca", "attention"} if attends else {"image", "pca"})
    for path in found.record.artifacts.values():
        with Image.open(tmp_path / "feature-pca" / path) as picture:
            assert picture.size == (280, 280)
    scores = {score.metric: score.value for score in found.record.scores}
    assert (scores["attention_entropy"] is not None) == attends
    assert (scores["effective_rank"] or 0) > 1


def test_attention_that_falls_on_all_patches_alike_is_not_drawn(
    folders: Path, tmp_path: Path
) -> None:
    protocol = FeaturePca(images=3, resize=64, crop=64)
    options = RunOptions(data=str(folders), results=tmp_path)
    found = evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)
    assert {name.partition(" ")[0] for name in found.record.artifacts} == {"image", "pca"}
    assert "attention of 3 images falls on all patches alike: not drawn" in found.record.notes


def test_a_crop_that_is_cut_to_whole_patches_is_said(folders: Path, tmp_path: Path) -> None:
    protocol = FeaturePca(images=1, resize=64, crop=60)
    options = RunOptions(data=str(folders), results=tmp_path)
    found = evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)
    said = "the crop of 60 px is cut to 56 px, a multiple of the patch of 8 px"
    assert said in found.record.notes
