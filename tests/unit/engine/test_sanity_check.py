import re
from dataclasses import replace

import pytest
import torch

from vitbench.cache import cache_place
from vitbench.data.dataset import open_dataset
from vitbench.data.synthetic import CLASS_NAMES
from vitbench.data.transforms import ImageView
from vitbench.engine import sanity_check
from vitbench.engine.sanity_check import inspect
from vitbench.models.backbone import Backbone
from vitbench.models.checkpoint import Checkpoint, load_backbone, resolve

ARCH = "vit_micro_patch8_64"


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sanity_check, "PICTURES_PER_CLASS", 6)


def changed(content: str) -> tuple[Checkpoint, Backbone]:
    """Return a network whose weights say that they are not random, under a content of its own."""
    checkpoint = replace(resolve(f"random:{ARCH}"), method="", sha256=content)
    return checkpoint, load_backbone(checkpoint)


def failed(content: str, backbone: Backbone, checkpoint: Checkpoint) -> str:
    found = inspect(checkpoint, backbone)
    assert not found.passed
    assert found.verdict.startswith("failed: ")
    return found.verdict


def test_a_floor_has_nothing_to_check() -> None:
    checkpoint = resolve(f"random:{ARCH}")
    assert inspect(checkpoint, load_backbone(checkpoint)).verdict.endswith("nothing to check")


def test_weights_that_were_never_trained_do_not_pass() -> None:
    checkpoint, backbone = changed("untrained")
    assert "never trained?" in failed("untrained", backbone, checkpoint)


def test_features_that_are_not_finite_do_not_pass() -> None:
    checkpoint, backbone = changed("broken")
    next(iter(backbone.parameters())).data.fill_(torch.nan)
    assert "features are not finite" in failed("broken", backbone, checkpoint)


def test_constant_features_do_not_pass() -> None:
    checkpoint, backbone = changed("constant")
    backbone.norm.weight.data.zero_()  # type: ignore[union-attr, operator]
    backbone.norm.bias.data.fill_(1.0)  # type: ignore[union-attr, operator]
    assert "features are constant" in failed("constant", backbone, checkpoint)


@pytest.mark.parametrize("name", ["test_resnet", "levit_128s"])  # of any size, and of one
def test_networks_of_timm_are_held_against_their_own_first_weights(name: str) -> None:
    checkpoint = replace(resolve(f"random:{name}"), method="", sha256=name)
    backbone = load_backbone(checkpoint)
    verdict = failed(name, backbone, checkpoint)
    own, untrained = re.findall(r"([\d.]+) %", verdict)[:2]
    assert own == untrained  # the same seed


def test_a_verdict_is_recalled_for_the_same_content(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, backbone = changed("recalled")
    first = inspect(checkpoint, backbone)
    monkeypatch.setattr(sanity_check, "_behavior", lambda *_: pytest.fail("looked again"))
    assert inspect(checkpoint, backbone) == first


@pytest.mark.parametrize("content", ["", "[", "{}", '[{"passed": "x"}]', "[1]"])
def test_a_verdict_that_was_cut_off_is_made_again(content: str) -> None:
    checkpoint, backbone = changed(f"cut off {content}")
    first = inspect(checkpoint, backbone)
    newest = max(cache_place("gate").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    newest.write_text(content)
    assert inspect(checkpoint, backbone) == first
    assert newest.read_text() != content


def test_weights_are_checked_in_the_precision_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, backbone = changed("precise")
    seen = []
    behavior = sanity_check._behavior

    def watched(*given: object) -> object:
        seen.append(given[1])
        return behavior(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(sanity_check, "_behavior", watched)
    for precision in ("fp32", "bf16", "bf16"):
        inspect(checkpoint, backbone, precision=precision)
    assert seen == ["fp32", "bf16"]


def test_the_pictures_of_the_check_are_those_of_the_built_in_set() -> None:
    data = open_dataset("synthetic", "classification", "train", limit=20)
    drawn = {name: data[place] for place, name in enumerate(sorted(CLASS_NAMES))}
    for kind, picture in enumerate(sanity_check._draw(ImageView(64, 64))[:10]):
        name = CLASS_NAMES[kind]
        assert f"/{name}/" in drawn[name].id
        assert picture.equal(ImageView(64, 64)(drawn[name].image))
