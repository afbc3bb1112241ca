"""A backbone's copy for dense tasks has its positions on another grid, and stands alone."""

import pytest
import torch

from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.models.positions import resize_positions
from vitbench.models.timm_backbone import TimmBackbone


def test_the_table_is_learned_on_the_grid_of_the_crop() -> None:
    lent = load_backbone(resolve("random:vit_mini_patch8_64"))
    assert isinstance(lent, TimmBackbone)
    copy = lent.dense_copy(image_px=96, rule="size")
    assert isinstance(copy, TimmBackbone)
    assert copy.info.grid == (12, 12)
    assert copy.info.position_rule == "size"
    assert copy.pos_embed.shape == (1, 1 + 144, 128)
    expected = resize_positions(lent.pos_embed[:, 1:], (8, 8), (12, 12), "size", square=True)
    torch.testing.assert_close(copy.pos_embed[:, 1:], expected)
    torch.testing.assert_close(copy.pos_embed[:, :1], lent.pos_embed[:, :1])


@pytest.mark.parametrize("spec", ["random:vit_mini_patch8_64", "pixels:8"])
def test_what_the_copy_learns_the_lent_one_does_not(spec: str) -> None:
    lent = load_backbone(resolve(spec))
    before = [parameter.clone() for parameter in lent.parameters()]
    copy = lent.dense_copy(image_px=64, rule="size")
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.add_(1.0)
    for parameter, old in zip(lent.parameters(), before, strict=True):
        assert torch.equal(parameter, old)


def test_evaluation_in_low_precision_sees_the_weights_of_the_last_step() -> None:
    copy = load_backbone(resolve("random:vit_mini_patch8_64")).dense_copy(image_px=64, rule="size")
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(copy.parameters(), lr=0.1, fused=True)

    def seen() -> torch.Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            (found,) = copy.forward(image)
        return found.patches

    before = seen()
    torch.autograd.backward(copy.forward(image)[0].patches[:, 0].mean())
    for name, parameter in copy.named_parameters():
        if "mlp" not in name:
            parameter.grad = None
    optimizer.step()
    assert not torch.equal(before, seen())


def test_other_sizes_of_image_see_the_learned_table_after_every_step() -> None:
    copy = load_backbone(resolve("random:vit_mini_patch8_64")).dense_copy(image_px=64, rule="size")
    image = torch.randn(1, 3, 48, 80, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(copy.parameters(), lr=0.1, fused=True)

    def seen() -> torch.Tensor:
        with torch.no_grad():
            (found,) = copy.forward(image)
        return found.patches

    before = seen()
    torch.autograd.backward(copy.forward(image)[0].patches[:, 0].mean())
    for name, parameter in copy.named_parameters():
        if name != "pos_embed":
            parameter.grad = None
    optimizer.step()
    assert not torch.equal(before, seen())
