"""Every protocol scores networks that are no plain ViT."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.protocols.segmentation.conftest import write_maps
from tests.tiny_clips import write_davis
from vitbench.api import EvaluationProtocol, RunOptions, errors, evaluate, resolve
from vitbench_protocols.adjacency import Adjacency
from vitbench_protocols.davis import Davis
from vitbench_protocols.feature_pca import FeaturePca
from vitbench_protocols.knn import Knn
from vitbench_protocols.linear_probe import LinearProbe
from vitbench_protocols.segmentation import Segmentation
from vitbench_protocols.segmentation.settings import DenseKnn, Inference, Learning
from vitbench_protocols.segmentation.settings import LinearProbe as LinearMap

NETWORKS = {  # name: stride of its last map
    "test_convnext": 32,
    "test_resnet": 32,
    "test_efficientnet": 32,  # its image-level feature is wider than its maps
    "vit_tiny_patch16_dinov3_qkvb": 16,
    "test_vit3": 16,  # pools by attention, as a SigLIP
}
FIXED = "levit_128s"  # of 224 px only
IMAGES: dict[str, Any] = {"resize": 64, "crop": 64}
BRIEF = Learning(steps=2, batch_size=2, crop=64, short=64, warmup_steps=1, check_every=2)

every_network = pytest.mark.parametrize(("name", "stride"), NETWORKS.items())


def score(protocol: EvaluationProtocol, name: str, data: Path | str, results: Path) -> float:
    options = RunOptions(data=str(data), results=results, device="cpu", workers=1, limit=10)
    checkpoint = replace(resolve(f"random:{name}"), method="random")
    primary = evaluate(protocol, checkpoint, options).record.primary()
    assert primary is not None
    assert primary.value is not None
    return primary.value


@every_network
def test_knn_tells_colors_apart(name: str, stride: int, folders: Path, tmp_path: Path) -> None:
    assert score(Knn(**IMAGES), name, folders, tmp_path) > 50.0


@every_network
@pytest.mark.parametrize("features", ["last-4", "last-1+mean"])
def test_a_linear_probe_reads_several_vectors(
    features: Any, name: str, stride: int, folders: Path, tmp_path: Path
) -> None:
    probe = LinearProbe(**IMAGES, batch_size=10, epochs=2, features=(features,))
    assert score(probe, name, folders, tmp_path) >= 0


@every_network
def test_features_are_drawn(name: str, stride: int, folders: Path, tmp_path: Path) -> None:
    assert score(FeaturePca(**IMAGES, images=2), name, folders, tmp_path) > 0


@every_network
@pytest.mark.parametrize("layer", [-1, 0])
def test_videos_are_followed_on_any_layer(
    layer: int, name: str, stride: int, tmp_path: Path
) -> None:
    data = write_davis(tmp_path / "davis", frames=3)
    assert score(Davis(layer=layer, resolution=64), name, data, tmp_path / "results") > 0


@every_network
def test_adjacency_knows_the_stride(name: str, stride: int, tmp_path: Path) -> None:
    protocol = Adjacency(image_px=128, patch_px=stride, overlays=0)
    assert score(protocol, name, "synthetic", tmp_path) > 0


@every_network
@pytest.mark.parametrize(
    "method", [DenseKnn(k=5), LinearMap(learning=BRIEF)], ids=["retrieval", "linear"]
)
def test_frozen_features_are_segmented(method: Any, name: str, stride: int, tmp_path: Path) -> None:
    data = write_maps(tmp_path / "maps", train=2, val=2)
    protocol = Segmentation(method=method, inference=Inference(short=64, long=96))
    assert score(protocol, name, data, tmp_path / "results") >= 0


@pytest.mark.parametrize(
    ("protocol", "data"),
    [
        (Knn(**IMAGES), "folders"),
        (LinearProbe(**IMAGES), "folders"),
        (FeaturePca(**IMAGES), "folders"),
        (Davis(resolution=64), "davis"),
        (Adjacency(image_px=128, patch_px=64, overlays=0), "synthetic"),
        (Segmentation(method=DenseKnn()), "synthetic"),
    ],
    ids=["knn", "linear-probe", "feature-pca", "davis", "adjacency", "segmentation"],
)
def test_a_network_of_one_image_size_says_so_before_any_work(
    protocol: EvaluationProtocol, data: str, folders: Path, tmp_path: Path
) -> None:
    where = {"folders": folders, "davis": tmp_path / "davis"}.get(data, Path(data))
    if data == "davis":
        write_davis(where, frames=3)
    with pytest.raises(errors.MissingAbility, match=FIXED):
        score(protocol, FIXED, where, tmp_path / "results")


def test_a_network_of_one_image_size_is_scored_at_it(folders: Path, tmp_path: Path) -> None:
    assert score(Knn(resize=224, crop=224), FIXED, folders, tmp_path) == 100.0
