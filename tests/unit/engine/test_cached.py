import fcntl
import json
from pathlib import Path

import pytest

from vitbench.engine import cached
from vitbench.errors import UnknownName


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache with something of each part."""
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path))
    for key, dataset, split in (("aaaaaaaa", "imagenet", "train"), ("bbbbbbbb", "coco", "val")):
        store = tmp_path / "features" / key
        store.mkdir(parents=True)
        about = {"dataset": dataset, "split": split, "arch": "vit"}
        (store / "about.json").write_text(json.dumps(about))
        (store / "block-1.pooled.npy").write_bytes(b"x" * 1000)
        (store / "lock").touch()
    (tmp_path / "features" / "cccccccc").mkdir()
    parts = ("gate", "runs", "checkpoints", "named", "synthetic-v1", "digests", "screened")
    for name in (*parts, "listings", "resamples", "known"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thing").write_bytes(b"12345")
    return tmp_path


def paths(*words: str) -> set[str]:
    return {str(entry.path.relative_to(entry.path.parents[1])) for entry in cached.choose(words)}


@pytest.mark.parametrize(
    ("word", "chosen"),
    [
        ("features", {"features/aaaaaaaa", "features/bbbbbbbb", "features/cccccccc"}),
        ("aaaaaaaa", {"features/aaaaaaaa"}),
        ("bbbbbb", {"features/bbbbbbbb"}),
        ("imagenet", {"features/aaaaaaaa"}),
        ("coco/val", {"features/bbbbbbbb"}),
        ("gate", {"gate/thing"}),
        ("known", {"known/thing"}),
        ("downloads", {"checkpoints/thing"}),
        ("runs", {"runs/thing"}),
        ("digests", {"digests/thing", "screened/thing", "listings/thing"}),
        ("resamples", {"resamples/thing"}),
    ],
)
def test_a_word_chooses_its_part_and_no_other(cache: Path, word: str, chosen: set[str]) -> None:
    assert paths(word) == chosen


def test_all_is_everything_and_every_part_has_a_size(cache: Path) -> None:
    assert {entry.part for entry in cached.choose(["all"])} == set(cached.PARTS)
    sizes = {entry.key: entry.size_bytes for entry in cached.entries()}
    assert sizes["aaaaaaaa"] > 1000
    assert sizes["thing"] == sizes["synthetic-v1"] == 5
    assert sizes["cccccccc"] == 0


@pytest.mark.parametrize("word", ["featurs", "a", "imagenet/val", "..", "/"])
def test_an_unknown_word_is_refused(cache: Path, word: str) -> None:
    with pytest.raises(UnknownName, match="no part of the cache"):
        cached.choose([word])


def test_a_store_that_a_run_holds_stays_and_goes_when_it_is_done(cache: Path) -> None:
    (entry,) = cached.choose(["aaaaaaaa"])
    with (entry.path / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert not cached.remove(entry)
        assert (entry.path / "about.json").exists()
    assert cached.remove(entry)
    assert not entry.path.exists()
    assert cached.remove(entry)  # gone already
    assert not list(cache.glob(".removed-*"))


def test_what_has_no_lock_is_removed(cache: Path) -> None:
    for entry in cached.choose(["gate", "synthetic", "features"]):
        assert cached.remove(entry)
    left = {path.name for path in cache.iterdir()}
    assert "synthetic-v1" not in left
    assert not list((cache / "gate").iterdir())
    assert not list((cache / "features").iterdir())
    assert list((cache / "runs").iterdir())


def test_a_link_to_common_data_is_removed_without_the_data(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "picture").touch()
    (cache / "synthetic-v2").symlink_to(tmp_path / "common")
    for entry in cached.choose(["synthetic"]):
        assert cached.remove(entry)
    assert (tmp_path / "common" / "picture").exists()
    assert not (cache / "synthetic-v2").is_symlink()
