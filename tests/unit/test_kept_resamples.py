from pathlib import Path

import numpy as np
import pytest

from vitbench import bootstrap, kept_resamples
from vitbench.kept_resamples import KeptResamples
from vitbench.score_statistics import Items


def weighted(seed: int = 0) -> Items:
    values = np.random.default_rng(seed).normal(size=20)
    return {"ids": np.arange(20).astype(str), "score": values, "weights": np.arange(1, 21)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path))
    return tmp_path / "resamples"


def never(*_: object, **__: object) -> None:
    raise AssertionError("resampled again")


@pytest.mark.usefixtures("folder")
def test_what_was_drawn_once_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = bootstrap.score_interval(weighted(), "score", resample=KeptResamples())
    assert first == bootstrap.score_interval(weighted(), "score")
    monkeypatch.setattr(kept_resamples, "resampled_score", never)
    assert bootstrap.score_interval(weighted(), "score", resample=KeptResamples()) == first
    with pytest.raises(AssertionError, match="resampled again"):
        KeptResamples()(weighted(seed=1), "score")
    with pytest.raises(AssertionError, match="resampled again"):
        KeptResamples()(weighted(), "score", seed=1)


def test_a_file_that_is_broken_is_made_again(folder: Path) -> None:
    whole = KeptResamples()(weighted(), "score")
    (file,) = folder.iterdir()
    content = file.read_bytes()
    for broken in (b"", content[:-9], b"no array", content.replace(b"<f8", b"<i8")):
        file.write_bytes(broken)
        found = KeptResamples()(weighted(), "score")
        assert whole is not None
        assert found is not None
        assert found.value == whole.value
        np.testing.assert_array_equal(found.drawn, whole.drawn)
        assert file.read_bytes() == content


def test_a_cache_that_can_not_be_written_costs_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path / "file"))
    resample = KeptResamples()
    found = resample(weighted(), "score")
    assert found is not None
    monkeypatch.setattr(kept_resamples, "resampled_score", never)
    assert resample(weighted(), "score") is found


@pytest.mark.usefixtures("folder")
def test_runs_are_compared_by_what_was_kept_as_they_would_be_without() -> None:
    kept = KeptResamples()
    one, other = weighted(), weighted(seed=1)
    found = bootstrap.paired_difference(one, other, "score", resample=kept)
    assert found == bootstrap.paired_difference(one, other, "score")
