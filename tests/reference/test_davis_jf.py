"""J and F against the official evaluator, to the last bit but for the order of a sum."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vitbench_protocols.davis.jf import (
    boundary,
    boundary_measure,
    region_similarity,
    score_frame,
    statistics,
    tolerance_px,
)
from vitbench_protocols.davis.scores import ClipScores, summarize

VALUES = Path(__file__).parent / "values"
STORED = np.load(VALUES / "davis_jf.npz", allow_pickle=False)
RESULTS = json.loads((VALUES / "davis_jf_results.json").read_text())
SEQUENCES = ("aa", "bb", "cc")
EXACT = 1e-12


def scored(name: str) -> ClipScores:
    """Score a stored sequence as the official task does: void is background, ends are left out."""
    truth, found = STORED[f"gt_{name}"], STORED[f"res_{name}"]
    pairs = [
        score_frame(t, f, int(truth[0].max()))
        for t, f in zip(truth[1:-1], found[1:-1], strict=True)
    ]
    region, outline = (np.stack(values, axis=1) for values in zip(*pairs, strict=True))
    return ClipScores(name, region, outline)


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_frame_of_every_object_is_the_official_one(name: str) -> None:
    found = scored(name)
    np.testing.assert_array_equal(found.region, STORED[f"J_{name}"])
    np.testing.assert_array_equal(found.outline, STORED[f"F_{name}"])


def test_the_summary_is_the_official_one() -> None:
    scores, items = summarize([scored(name) for name in SEQUENCES])
    official = RESULTS["global_"]
    for score in scores:
        letter, _, statistic = score.metric.partition("_")
        key = "J&F-Mean" if letter == "jf" else f"{letter.upper()}-{statistic.capitalize()}"
        assert score.value == pytest.approx(100 * official[key], abs=EXACT)
    assert items["ids"].tolist() == list(SEQUENCES)
    assert items["weights"].tolist() == [2, 3, 1]


def test_the_mean_over_weighted_clips_is_the_mean_over_objects() -> None:
    scores, items = summarize([scored(name) for name in SEQUENCES])
    for score in scores:
        mean = np.average(items[score.metric], weights=items["weights"])
        assert mean == pytest.approx(score.value, abs=1e-9)


def test_the_order_of_the_clips_does_not_matter() -> None:
    forward, _ = summarize([scored(name) for name in SEQUENCES])
    backward, _ = summarize([scored(name) for name in reversed(SEQUENCES)])
    for one, other in zip(forward, backward, strict=True):
        assert one.value == pytest.approx(other.value, abs=EXACT)


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("measure", ["J", "F"])
def test_statistics_of_each_object_are_the_official_ones(name: str, measure: str) -> None:
    first = ["aa_1", "aa_2", "bb_1", "bb_2", "bb_3", "cc_1"].index(f"{name}_1")
    for offset, values in enumerate(STORED[f"{measure}_{name}"]):
        found, official = statistics(values), RESULTS[measure]
        expected = [official[key][first + offset] for key in "MRD"]
        assert [found.mean, found.recall, found.decay] == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("frames", [3, 4, 5, 7, 10, 33, 68, 102])
def test_statistics_of_clips_of_any_length(frames: int) -> None:
    found = statistics(STORED[f"statin_n{frames}"])
    expected = STORED[f"stat_n{frames}"]
    assert [found.mean, found.recall, found.decay] == pytest.approx(expected, abs=EXACT)
    assert found.decay_uint8 == found.decay


def test_decay_of_long_clips_is_defined_and_the_official_one_stays_available() -> None:
    values = STORED["statin_n300"]
    found = statistics(values)
    assert np.isnan(STORED["stat_n300"][2])
    assert np.isnan(found.decay_uint8)
    assert found.decay == pytest.approx(values[:76].mean() - values[224:].mean(), abs=EXACT)


def test_a_whole_frame_is_the_official_one() -> None:
    truth, found = STORED["big_gt"], STORED["big_res"]
    region, outline = score_frame(truth, found, 1)
    assert region[0] == STORED["big_J"]
    assert outline[0] == STORED["big_F"]
    assert boundary_measure(truth, found, radius=3) == STORED["big_F_bound3"]


def test_the_outline_of_a_mask_is_the_official_one() -> None:
    np.testing.assert_array_equal(
        boundary((STORED["gt_aa"][2] == 1).astype(np.uint8)), STORED["bmap_aa_f2_o1"]
    )


def test_the_tolerance_is_a_share_of_the_diagonal() -> None:
    assert tolerance_px(480, 854) == STORED["bound_pix_480x854"] == 8


def test_the_corners_of_the_definition() -> None:
    empty = np.zeros((20, 30), np.uint8)
    full, one, other = np.ones_like(empty), empty.copy(), empty.copy()
    one[4:9, 4:9], other[4:9, 22:27] = 1, 1
    pairs = [(empty, empty), (empty, full), (empty, one), (one, empty), (one, one), (one, other)]
    assert [float(score_frame(t, p, 1)[1][0]) for t, p in pairs] == STORED["edge_F"].tolist()
    assert [region_similarity(t, p) for t, p in pairs[:2]] == STORED["edge_J"].tolist()


@pytest.mark.parametrize("place", [(0, 0), (0, 18), (12, 0), (12, 18), (6, 9)])
def test_cutting_to_the_objects_box_changes_nothing(place: tuple[int, int]) -> None:
    """Objects at every border of the frame, against the same measures on whole frames."""
    generator = np.random.default_rng(0)
    truth, found = np.zeros((2, 24, 34), np.uint8)
    box = (slice(place[0], place[0] + 12), slice(place[1], place[1] + 16))
    truth[box] = generator.integers(0, 2, (12, 16))
    found[box] = generator.integers(0, 2, (12, 16))
    region, outline = score_frame(truth, found, 1)
    assert region[0] == region_similarity(truth, found)
    assert outline[0] == boundary_measure(truth, found, radius=tolerance_px(*truth.shape))


def test_an_object_of_neither_mask_scores_one() -> None:
    nothing: NDArray[np.uint8] = np.zeros((9, 9), np.uint8)
    region, outline = score_frame(nothing, nothing, 2)
    assert region.tolist() == outline.tolist() == [1.0, 1.0]
