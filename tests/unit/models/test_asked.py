"""What a checkpoint is known by: the words, the content of its files, the code that reads them."""

import json
from pathlib import Path
from typing import Any

import pytest

from vitbench.cache import cache_place
from vitbench.models import asked as asking
from vitbench.models.asked import AskedCheckpoint, asked_checkpoint
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.models.export import save_backbone
from vitbench.models.known import known_of, recall_checkpoint, remember_checkpoint

ARCH = "random:vit_micro_patch8_64"


def saved(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_backbone(load_backbone(resolve(f"{ARCH}?seed={seed}")), path, method="none")
    return path


def asked_of(spec: object, **facts: Any) -> AskedCheckpoint:
    found = asked_checkpoint(str(spec), facts)
    assert found is not None
    return found


def test_what_is_kept_is_told_again(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors")
    checkpoint = resolve(str(path))
    known = known_of(checkpoint, load_backbone(checkpoint))
    asked = asked_of(path)
    assert recall_checkpoint(asked) is None
    remember_checkpoint(asked.key, known)
    again = recall_checkpoint(asked_of(path))
    assert again == known
    assert again.weights.digest == known.weights.digest


def test_other_words_content_facts_or_code_are_another_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.safetensors")
    first = asked_of(path).key
    assert asked_of(path).key == first
    keys = [first, asked_of(path, mean=[0.5, 0.5, 0.5]).key, asked_of(f"{path}@mean=0.5").key]
    (tmp_path / "link.safetensors").symlink_to(path)
    keys.append(asked_of(tmp_path / "link.safetensors").key)  # another name
    facts = path.stat()
    saved(path, seed=1)
    keys.append(asked_of(path).key)
    assert facts.st_size == path.stat().st_size  # only the content tells
    (tmp_path / "config.json").write_text("{}")  # says what the weights beside it are
    keys.append(asked_of(path).key)
    monkeypatch.setattr(asking, "_code", lambda: "changed")
    keys.append(asked_of(path).key)
    assert len(set(keys)) == len(keys)


def test_a_file_that_was_written_meanwhile_is_seen(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors")
    asked = asked_of(path)
    assert asked.is_unchanged()
    saved(path, seed=1)
    assert not asked.is_unchanged()
    path.unlink()
    assert not asked.is_unchanged()


def test_a_run_is_known_by_its_backbone_and_a_folder_by_all_that_describes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "runs" / "mine" / "backbone.safetensors")
    run = asked_of("mine").key
    (tmp_path / "runs" / "mine" / "metrics.jsonl").write_text("{}\n")
    assert asked_of("mine").key == run
    folder = saved(tmp_path / "hub" / "model.safetensors").parent
    config = folder / "config.json"
    config.write_text(json.dumps({"architecture": "a"}))
    before = asked_of(folder).key
    config.write_text(json.dumps({"architecture": "b"}))
    assert asked_of(folder).key != before


@pytest.mark.parametrize("spec", [ARCH, "timm:x", "some.module:f", "nowhere.pth", "dino-vits16"])
def test_what_lies_in_no_file_is_not_known(spec: str) -> None:
    assert asked_checkpoint(spec, {}) is None


@pytest.mark.parametrize("content", ["", "[", "{}", '{"name": 1}'])
def test_what_is_kept_and_damaged_counts_as_nothing(tmp_path: Path, content: str) -> None:
    asked = asked_of(saved(tmp_path / "a.safetensors"))
    place = cache_place("known", f"{asked.key[:32]}.json")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)
    assert recall_checkpoint(asked) is None
