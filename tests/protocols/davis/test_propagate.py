"""Propagation on grids whose answer is known, and the rules of other presets."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vitbench_protocols.davis import Davis, propagate
from vitbench_protocols.davis.propagate import Propagator, Rules, Span, outside_window

H, W, D = 5, 7, 32


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_still_clip_keeps_its_labels_for_ever() -> None:
    patches, labels = random(D, H, W), random(3, H, W, seed=1).abs()
    propagator = Propagator(Rules(k=1), patches, labels)
    for _ in range(20):
        torch.testing.assert_close(propagator.step(patches), labels)


def test_labels_move_with_what_they_lie_on() -> None:
    patches, labels = random(D, H, W), random(2, H, W, seed=1).abs()
    moved, expected = patches.roll(2, dims=2), labels.roll(2, dims=2)
    found = Propagator(Rules(k=1), patches, labels).step(moved)
    torch.testing.assert_close(found[:, :, 2:], expected[:, :, 2:])


def test_labels_beyond_the_window_are_out_of_reach() -> None:
    patches, labels = random(D, H, W), random(2, H, W, seed=1).abs()
    moved, expected = patches.roll(3, dims=2), labels.roll(3, dims=2)
    near = Propagator(Rules(k=1, radius=2), patches, labels).step(moved)
    far = Propagator(Rules(k=1, radius=0), patches, labels).step(moved)
    torch.testing.assert_close(far, expected)
    assert not torch.isclose(near, expected).all(dim=0).any()


@pytest.mark.parametrize("shape", [(9, 13), (13, 9)])
@pytest.mark.parametrize(
    "rules",
    [
        Rules(radius=2),
        Rules(radius=3, window="circle"),
        Rules(radius=0),
        Rules(radius=1, window_on_first=False),
        Rules(k=1, radius=2, context=2, keep_ties=False),
    ],
)
def test_labels_do_not_depend_on_how_the_grid_is_cut(
    rules: Rules, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [random(D, *shape, seed=seed) for seed in range(5)]
    labels = random(3, *shape, seed=9).abs()
    found = []
    for tile in ((100, 100), (2, 3), (4, 2), (1, 1)):
        monkeypatch.setitem(propagate.TILE, "cpu", tile)
        propagator = Propagator(rules, frames[0], labels)
        found.append(torch.stack([propagator.step(frame) for frame in frames[1:]]))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


def test_memory_does_not_grow_with_the_clip() -> None:
    patches, labels = random(D, H, W), random(2, H, W, seed=1).abs()
    propagator = Propagator(Rules(context=3), patches, labels)
    size = propagator.size_bytes
    for seed in range(10):
        propagator.step(random(D, H, W, seed=seed))
    assert propagator.size_bytes == size == 4 * H * W * (D + 2) * 4


def test_the_oldest_frame_gives_way_and_the_first_stays() -> None:
    frames = [random(D, H, W, seed=seed) for seed in range(5)]
    labels = [functional.one_hot(torch.full((H, W), n), 5).permute(2, 0, 1) for n in range(5)]
    propagator = Propagator(Rules(k=1, context=2), frames[0], labels[0].float())
    for frame, label in zip(frames[1:], labels[1:], strict=True):
        propagator.remember(frame, label.float())
    chosen = [int(propagator.label(frame).sum((1, 2)).argmax()) for frame in frames]
    assert chosen[0] == 0
    assert chosen[3:] == [3, 4]
    assert {chosen[1], chosen[2]}.isdisjoint({1, 2})


def test_a_clip_can_be_followed_from_its_first_frame_alone() -> None:
    patches, labels = random(D, H, W), random(2, H, W, seed=1).abs()
    propagator = Propagator(Rules(k=1, context=0), patches, labels)
    propagator.step(random(D, H, W, seed=2))
    torch.testing.assert_close(propagator.step(patches), labels)


def test_a_circle_leaves_out_the_corners_and_the_rim() -> None:
    inside = ~outside_window(
        Rules(radius=2, window="circle"), Span(range(2, 3), range(5)), Span(range(5), range(5))
    )
    expected = ["00000", "01110", "01110", "01110", "00000"]
    assert inside[2].int().view(5, 5).tolist() == [[int(x) for x in row] for row in expected]


def walk(query: Tensor, context: Tensor, labels: Tensor, rules: Rules) -> Tensor:
    """Label by Contrastive Random Walk's formula: softmax over the k best, window but on slot 0."""
    h, w = context.shape[2:]
    keys = functional.normalize(context, dim=1).flatten(2)
    similarity = functional.normalize(query, dim=0).flatten(1).T @ keys  # (n, queries, keys)
    rows, columns = torch.arange(h * w) // w, torch.arange(h * w) % w
    apart = (rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2
    similarity[1:] += torch.where(apart < rules.radius**2, 0.0, -1e10)
    flat = similarity.permute(1, 0, 2).flatten(1) / rules.temperature
    value, index = flat.topk(rules.k, dim=1)
    given = labels.flatten(2).permute(0, 2, 1).flatten(0, 1)[index]  # (queries, k, C)
    return (value.softmax(dim=1)[..., None] * given).sum(dim=1).T.reshape(-1, h, w)


def test_the_crw_preset_follows_its_own_formula() -> None:
    rules = Davis(**{**Davis.presets["crw"], "radius": 3, "context_frames": 4, "k": 6}).rules
    frames = [random(D, H, W, seed=seed) for seed in range(4)]
    first = random(2, H, W, seed=9).abs()
    propagator = Propagator(rules, frames[0], first)
    context, labels = [frames[0]] * 5, [first] * 5  # copies of the first frame fill the context
    for frame in frames[1:]:
        expected = walk(frame, torch.stack(context), torch.stack(labels), rules)
        found = propagator.step(frame)
        torch.testing.assert_close(found, expected)
        context = [context[0], *context[2:], frame]
        labels = [labels[0], *labels[2:], expected]


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_tokens_of_lower_precision_are_compared_in_float32(precision: torch.dtype) -> None:
    patches, labels = random(D, H, W).to(precision), random(2, H, W, seed=1).abs()
    found = Propagator(Rules(k=1), patches, labels).step(patches)
    torch.testing.assert_close(found, labels)
