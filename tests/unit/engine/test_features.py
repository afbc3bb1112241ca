import fcntl
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from vitbench.data.content import Digests, images_fingerprint
from vitbench.data.dataset import open_dataset
from vitbench.data.transforms import ImageView, Normalization
from vitbench.engine import features
from vitbench.engine.features import FeatureSpec, FeatureTable, Output, Pass, extract
from vitbench.engine.options import Kept
from vitbench.models.backbone import Backbone
from vitbench.models.identity import WeightsIdentity
from vitbench.models.timm_backbone import build_backbone

VIEW = ImageView(32, 32)


@pytest.fixture
def backbone() -> Backbone:
    return build_backbone("vit_mini_patch8_64", seed=0).eval()


def run(
    backbone: Backbone, root: Path, content: str, *outputs: Output, store: Kept = "asked"
) -> FeatureTable:
    normalization = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    whole = Pass(
        backbone=backbone,
        weights=WeightsIdentity(content, {}),
        normalization=normalization,
        precision="fp32",
        device=torch.device("cpu"),
        workers=2,
        store=store,
    )
    dataset = open_dataset(str(root), "classification", "train")
    mark = images_fingerprint(dataset, Digests(root))
    return extract(whole, dataset, mark, FeatureSpec(VIEW, outputs), lambda *_: None)


def test_a_pass_stores_what_it_was_asked_for(backbone: Backbone, folders: Path) -> None:
    table = run(backbone, folders, "asked", Output(-1))
    kept = Path(table.arrays["block-1.pooled"].filename)  # type: ignore[attr-defined]
    assert table.images == 24
    assert list(kept.parent.glob("*.npy")) == [kept]
    again = run(backbone, folders, "asked", Output(-1), Output(-2))
    assert (again.hit, again.images) == (False, 24)


def test_a_second_protocol_reuses_a_pass_that_stores_all(backbone: Backbone, folders: Path) -> None:
    first = run(backbone, folders, "reuse", Output(-1), store="all")
    second = run(backbone, folders, "reuse", Output(-4), Output(-1, "mean"))
    assert (first.hit, first.images) == (False, 24)
    assert (second.hit, second.images) == (True, 0)


def test_vectors_are_the_backbones_own(backbone: Backbone, folders: Path) -> None:
    table = run(backbone, folders, "own", Output(-2), Output(-1, "mean"))
    dataset = open_dataset(str(folders), "classification", "train")
    images = torch.stack([VIEW(dataset[index].image) for index in range(len(dataset))])
    with torch.inference_mode():
        inner, last = backbone(images.float().div(255).sub(0.5).div(0.5), (-2, -1))
    assert torch.allclose(table.vectors(Output(-2)), inner.pooled, atol=1e-5)
    assert torch.allclose(
        table.vectors(Output(-1, "mean")), last.patches.mean(dim=(2, 3)), atol=1e-5
    )
    assert [table.ids[n].split("/")[1] for n in range(3)] == ["blue", "green", "red"]
    assert table.targets[:3].tolist() == [0, 1, 2]


def test_other_weights_never_get_the_same_features(backbone: Backbone, folders: Path) -> None:
    run(backbone, folders, "weights-a", Output(-1))
    assert not run(backbone, folders, "weights-b", Output(-1)).hit


def test_a_killed_pass_goes_on_where_it_stopped(
    backbone: Backbone, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(features.BATCH, "cpu", 5)
    whole = run(backbone, folders, "whole", Output(-1)).vectors()
    forward, calls = features._forward, []

    def killed(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return forward(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(features, "_forward", killed)
    with pytest.raises(KeyboardInterrupt):
        run(backbone, folders, "killed", Output(-1))
    monkeypatch.setattr(features, "_forward", forward)
    table = run(backbone, folders, "killed", Output(-1))
    assert table.images == 24 - 5  # the second batch was on its way
    assert torch.equal(table.vectors(), whole)


def test_a_store_that_was_cut_off_is_made_again(backbone: Backbone, folders: Path) -> None:
    whole = run(backbone, folders, "cut off", Output(-1)).vectors()
    for path in features.features_root().glob("*/block-1.pooled.npy"):
        path.write_bytes(path.read_bytes()[:-1])
    table = run(backbone, folders, "cut off", Output(-1))
    assert not table.hit
    assert torch.equal(table.vectors(), whole)


def test_a_pass_that_waits_for_a_store_outlives_the_clearing_of_the_cache(
    backbone: Backbone, folders: Path
) -> None:
    run(backbone, folders, "waited for", Output(-1))
    newest = max(features.features_root().iterdir(), key=lambda store: store.stat().st_mtime_ns)
    with ThreadPoolExecutor(1) as pool:
        with (newest / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            (newest / "block-1.pooled.npy").unlink()  # as if the holder were making it
            waiting = pool.submit(run, backbone, folders, "waited for", Output(-1))
            time.sleep(1)
            assert not waiting.done()
            shutil.rmtree(newest)
        table = waiting.result(timeout=120)
    assert not table.hit
    assert table.images == len(table.ids)
