"""Facts typed behind one checkpoint, and facts for checkpoints that do not know their own."""

from pathlib import Path

import pytest
import torch

from vitbench.errors import SettingError, UnknownName
from vitbench.models.checkpoint import resolve
from vitbench.models.factory import build
from vitbench.models.spec_facts import split_facts
from vitbench.models.user_facts import DefaultFacts

HALF = (0.5, 0.5, 0.5)
ARCH = "vit_mini_patch8_64"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bare") / "bare.pth"
    torch.save(build(ARCH, seed=0).own_state(), path)
    return path


def test_a_value_may_hold_commas_and_one_number_stands_for_three() -> None:
    assert split_facts("a/b.pth@arch=vit,mean=0.1,0.2,0.3,std=0.5,num-heads=6") == (
        "a/b.pth",
        {"arch": "vit", "mean": (0.1, 0.2, 0.3), "std": HALF, "heads": 6},
    )
    assert split_facts("x.pth@ignore=head.*,proj.*") == ("x.pth", {"ignore": ("head.*", "proj.*")})


@pytest.mark.parametrize("spec", ["hf-hub:owner/name@revision", "runs@home/x.pth", "dino-vits16"])
def test_other_words_with_an_at_sign_stay_whole(spec: str) -> None:
    assert split_facts(spec) == (spec, {})


def test_a_file_of_the_whole_name_has_no_facts_behind_it(tmp_path: Path) -> None:
    (tmp_path / "x@arch=a").touch()
    assert split_facts(str(tmp_path / "x@arch=a")) == (str(tmp_path / "x@arch=a"), {})


def test_wrong_facts_are_named() -> None:
    with pytest.raises(UnknownName, match="'heeds'"):
        split_facts("x.pth@heeds=6")
    with pytest.raises(SettingError, match="three numbers"):
        split_facts("x.pth@mean=0.1,0.2")
    with pytest.raises(SettingError, match="one of cls_token"):
        split_facts("x.pth@pooling=max")
    with pytest.raises(SettingError, match="a number from 1 on"):
        split_facts("x.pth@num_heads=many")


def test_facts_behind_a_checkpoint_are_applied(bare: Path) -> None:
    found = resolve(f"{bare}@arch={ARCH},mean=0.5,std=0.5")
    assert (found.mean, found.std, found.normalization_from) == (HALF, HALF, "flag")
    assert found.architecture.name == ARCH
    assert found.spec == str(bare)


def test_default_facts_serve_a_file_that_does_not_know_its_own(bare: Path) -> None:
    found = resolve(str(bare), defaults=DefaultFacts(arch=ARCH, mean=HALF))
    assert (found.mean, found.architecture.name) == (HALF, ARCH)
    assert not any("not applied" in text for text in found.said)


def test_default_facts_are_not_applied_to_a_checkpoint_that_knows_its_own() -> None:
    defaults = DefaultFacts(arch="vit_small_patch16_224", mean=HALF)
    found = resolve(f"random:{ARCH}", defaults=defaults)
    assert found.architecture.name == ARCH
    (text,) = (text for text in found.said if "not applied" in text)
    assert text.startswith("--arch is not applied: random-vit_mini_patch8_64-seed0 is a vit_mini")
    overruled = resolve(f"random:{ARCH}@mean=0.5", defaults=defaults)
    assert overruled.mean == HALF
