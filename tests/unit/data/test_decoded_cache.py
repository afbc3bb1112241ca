from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.data import decoded_cache
from vitbench.data.decoded_cache import DecodedCache, free_memory, memory_for_images
from vitbench.data.image_files import find_images


def test_images_are_kept_while_the_budget_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(3):
        Image.new("RGB", (10, 10), (index, 0, 0)).save(tmp_path / f"{index}.png")
    cache = DecodedCache(find_images(tmp_path), budget_bytes=2 * 300)
    first = [cache.read(index) for index in range(3)]
    again = [cache.read(index) for index in range(3)]
    assert [one is other for one, other in zip(first, again, strict=True)] == [True, True, False]
    np.testing.assert_array_equal(first[2], again[2])
    assert cache.ids == ("0.png", "1.png", "2.png")
    assert len(cache) == 3


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  900 kB\nMemAvailable:  100 kB\n")
    monkeypatch.setattr(decoded_cache, "MEMINFO", meminfo)
    monkeypatch.setattr(decoded_cache, "CGROUP", tmp_path)
    assert free_memory() == 102_400
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory() == 102_400
    (tmp_path / "memory.max").write_text("50000\n")
    (tmp_path / "memory.stat").write_text("anon 10000\nfile 30000\n")
    assert free_memory() == 40_000
    assert memory_for_images(2) == 10_000


def test_some_memory_is_found_on_any_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert free_memory() > 0
    monkeypatch.setattr(decoded_cache, "MEMINFO", tmp_path / "nothing")
    assert free_memory() > 0
