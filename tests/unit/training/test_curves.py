"""Curves of a training."""

from pathlib import Path

import pytest

from vitbench.training.curves import write_curves


@pytest.mark.parametrize(("rows", "drawn"), [([{"step": 1, "loss": 2.0}], 1), ([], 0)])
def test_a_panel_that_the_journal_has_nothing_for_is_left_out(
    rows: list[dict[str, float]], drawn: int, tmp_path: Path
) -> None:
    write_curves(rows, [["loss"], ["ap_box", "ap_mask"]], tmp_path / "curves.svg")
    svg = (tmp_path / "curves.svg").read_text()
    assert svg.count('id="legend_1"') == drawn
    assert 'id="axes_2"' not in svg
