"""Propagation against the official script: sizes, one step, and ten whole frames."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from tests.tiny_clips import write_labels
from vitbench.data.davis import open_clips
from vitbench.data.transforms import Normalization
from vitbench.models.architecture import infer
from vitbench.models.timm_backbone import TimmBackbone
from vitbench_protocols.davis import Davis
from vitbench_protocols.davis.frames import (
    first_labels,
    frame_size,
    hard_mask,
    load_frame,
    mask_grid,
)
from vitbench_protocols.davis.propagate import Propagator, Rules, Span, outside_window

VALUES = Path(__file__).parent / "values"
SIZES = json.loads((VALUES / "davis_sizes.json").read_text())
UNIT = np.load(VALUES / "davis_propagation_unit.npz", allow_pickle=False)
WHOLE = np.load(VALUES / "davis_e2e.npz", allow_pickle=False)
H, W = 7, 9  # tokens of the unit values
PRESET = Davis(**Davis.presets["dino-2021"])


def stored(key: str) -> Tensor:
    return torch.from_numpy(UNIT[key])


@pytest.mark.parametrize("size", SIZES)
def test_frames_and_masks_get_the_official_sizes(size: str) -> None:
    height, width = map(int, size.split("x"))
    for patch in (16, 8):
        found = frame_size((height, width), rule="floor-64", short_side=480, patch=patch)
        assert list(found) == SIZES[size]["frame"]
        grid = mask_grid((height, width), rule="floor-64", short_side=480, patch=patch)
        assert [1, 1, *grid] == SIZES[size][f"seg_p{patch}"]


@pytest.mark.parametrize("context", [1, 3])
@pytest.mark.parametrize("radius", [0, 2, 12])
@pytest.mark.parametrize("upright", [False, True])
def test_one_step_is_the_official_one(context: int, radius: int, upright: bool) -> None:
    def grid(tokens: Tensor) -> Tensor:
        """Put tokens (D, h*w) on their grid, or on the transposed one."""
        maps = tokens.reshape(-1, H, W)
        return maps.transpose(1, 2) if upright else maps

    sources, labels = stored(f"src_ctx{context}"), stored(f"segs_ctx{context}").flatten(2)
    propagator = Propagator(Rules(radius=radius), grid(sources[0]), grid(labels[0]))
    for frame in range(1, context):
        propagator.remember(grid(sources[frame]), grid(labels[frame]))
    found = propagator.label(grid(stored(f"tar_ctx{context}").T))
    expected = grid(stored(f"out_r{radius}_ctx{context}").flatten(2)[0])
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)  # single precision


def test_the_window_is_the_official_one() -> None:
    outside = outside_window(Rules(radius=2), Span(range(5), range(5)), Span(range(6), range(6)))
    np.testing.assert_array_equal(~outside.numpy(), UNIT["mask_h5_w6_r2"].astype(bool))


def test_soft_labels_become_the_official_mask() -> None:
    soft = stored("up_in")[0]
    found = hard_mask(soft, (64, 80), patch=16, stretch="frame")
    np.testing.assert_array_equal(found, UNIT["up_argmax"])


def by_the_formula(query: Tensor, sources: Tensor, labels: Tensor, radius: int, k: int) -> Tensor:
    """Label every query the plain way: the whole affinity, its k-th value, all that reach it."""
    n, _, h, w = sources.shape
    keys = functional.normalize(sources, dim=1).flatten(2)
    affinity = (functional.normalize(query, dim=0).flatten(1).T @ keys / 0.1).exp()
    rows, columns = torch.arange(h * w) // w, torch.arange(h * w) % w
    near = (rows[:, None] - rows).abs().le(radius) & (columns[:, None] - columns).abs().le(radius)
    flat = (affinity * near).permute(1, 0, 2).reshape(h * w, -1)  # (queries, n * keys)
    threshold = flat.topk(k, dim=1).values[:, -1:]
    flat = flat.where(flat >= threshold, 0.0)
    flat = flat / flat.sum(dim=1, keepdim=True)
    return (flat @ labels.flatten(2).permute(0, 2, 1).reshape(n * h * w, -1)).T.reshape(-1, h, w)


@pytest.mark.parametrize("distinct", [1, 2, 5])
def test_patches_as_similar_as_the_last_chosen_all_count(distinct: int) -> None:
    """Few distinct tokens make nearly every similarity tie with another."""
    generator = torch.Generator().manual_seed(distinct)
    tokens = torch.eye(8)[torch.randint(0, distinct, (4, H * W), generator=generator)]
    frames = tokens.mT.reshape(4, 8, H, W)
    labels = torch.rand(3, 3, H, W, generator=generator)
    propagator = Propagator(Rules(radius=2, context=2), frames[0], labels[0])
    for frame in (1, 2):
        propagator.remember(frames[frame], labels[frame])
    found = propagator.label(frames[3])
    torch.testing.assert_close(found, by_the_formula(frames[3], frames[:3], labels, 2, 5))


def test_ten_frames_give_the_official_masks(tmp_path: Path) -> None:
    names = [f"{index:05d}" for index in range(10)]
    frames = tmp_path / "JPEGImages/480p/golden"
    frames.mkdir(parents=True)
    for name, pixels in zip(names, WHOLE["frames_rgb"], strict=True):
        Image.fromarray(pixels).save(frames / f"{name}.jpg", format="PNG")  # lossless
        write_labels(WHOLE["first_mask"], tmp_path / f"Annotations/480p/golden/{name}.png")
    (tmp_path / "ImageSets/2017").mkdir(parents=True)
    (tmp_path / "ImageSets/2017/val.txt").write_text("golden\n")
    clip = open_clips(tmp_path, "val")[0]

    state = {key[2:]: torch.from_numpy(WHOLE[key]) for key in WHOLE.files if key[:2] == "w:"}
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    backbone = TimmBackbone(infer(shapes, heads=3, name="golden"))
    backbone.to_empty(device="cpu").load_state_dict(state)
    backbone.eval()

    size = frame_size((48, 72), rule="floor-64", short_side=480, patch=16)
    normalization = PRESET.normalization
    assert isinstance(normalization, Normalization)
    labels = first_labels(clip, (30, 44), void="refuse", count="grid", shrink="nearest")
    np.testing.assert_array_equal(labels[None], WHOLE["first_seg_onehot"])
    rules = Rules(context=int(WHOLE["n_last_frames"]))
    with torch.inference_mode():
        images = normalization(torch.stack([load_frame(clip, n, size) for n in range(10)]))
        np.testing.assert_allclose(
            images[0, :, ::16, ::16], WHOLE["frame0_norm_sub"], atol=1 / 255 / 0.22
        )
        patches = backbone(images)[0].patches
        propagator = Propagator(rules, patches[0], labels)
        soft = [propagator.step(patches[n]) for n in range(1, 10)]
    torch.testing.assert_close(
        soft[0], torch.from_numpy(WHOLE["soft_labels_frame1"]), atol=2e-5, rtol=1e-4
    )
    masks = [hard_mask(one, (48, 72), patch=16, stretch="frame") for one in soft]
    assert np.mean(np.stack(masks) == WHOLE["pred_masks"][1:]) >= 0.999
