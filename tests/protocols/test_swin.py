"""Every protocol scores a Swin: coarse maps at the end, finer ones from earlier stages."""

from pathlib import Path
from typing import Any

import pytest

from tests.protocols.segmentation.conftest import write_maps
from tests.tiny_clips import write_davis
from vitbench.api import (
    EvaluationProtocol,
    RunOptions,
    evaluate,
    resolve,
)
from vitbench_protocols.adjacency import Adjacency
from vitbench_protocols.davis import Davis
from vitbench_protocols.knn import Knn
from vitbench_protocols.linear_probe import LinearProbe
from vitbench_protocols.segmentation import Segmentation
from vitbench_protocols.segmentation.settings import DenseKnn, FineTune, Inference, Learning
from vitbench_protocols.segmentation.settings import LinearProbe as LinearMap

SWIN = "random:swin_mini_patch2_window4_32"  # strides 2, 4, 8 and 16; blocks 0, 1, 3 and 4 end them
IMAGES: dict[str, Any] = {"resize": 32, "crop": 32}
BRIEF = Learning(steps=2, batch_size=2, crop=32, short=32, warmup_steps=1, check_every=2)


def score(protocol: EvaluationProtocol, data: Path | str, results: Path) -> float:
    options = RunOptions(data=str(data), results=results, device="cpu", workers=1, limit=10)
    primary = evaluate(protocol, resolve(SWIN), options).record.primary()
    assert primary is not None
    assert primary.value is not None
    return primary.value


def test_knn_tells_colors_apart(folders: Path, tmp_path: Path) -> None:
    assert score(Knn(**IMAGES), folders, tmp_path) == 100.0


def test_a_linear_probe_reads_blocks_of_different_widths(folders: Path, tmp_path: Path) -> None:
    probe = LinearProbe(**IMAGES, batch_size=10, epochs=2, features=("last-4",))
    assert score(probe, folders, tmp_path) > 0


@pytest.mark.parametrize("layer", [-1, 1])  # grids of 3 x 4 and of 12 x 16
def test_videos_are_followed_on_any_stage(layer: int, tmp_path: Path) -> None:
    data = write_davis(tmp_path / "davis", frames=3)
    protocol = Davis(layer=layer, resolution=48)
    assert score(protocol, data, tmp_path / "results") > 0


@pytest.mark.parametrize(("layer", "stride"), [(-1, 16), (3, 8)])
def test_adjacency_knows_the_stride_of_a_stage(layer: int, stride: int, tmp_path: Path) -> None:
    protocol = Adjacency(layer=layer, image_px=64, patch_px=stride, overlays=0)
    assert score(protocol, "synthetic", tmp_path) > 0


@pytest.mark.parametrize(
    "method",
    [
        DenseKnn(k=5, layer=1),
        LinearMap(layer=3, learning=BRIEF),
        FineTune(learning=BRIEF),
    ],
    ids=["retrieval", "linear", "semantic-fpn"],
)
def test_segmentation_reads_one_stage_or_all(method: Any, tmp_path: Path) -> None:
    data = write_maps(tmp_path / "maps", train=2, val=2)
    protocol = Segmentation(method=method, inference=Inference(short=32, long=64))
    assert score(protocol, data, tmp_path / "results") >= 0
