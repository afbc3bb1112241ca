import pytest

from vitbench.reports.format_scores import number, signed


@pytest.mark.parametrize(
    ("value", "text"), [(-0.004, "+0.00"), (0.0, "+0.00"), (-0.006, "-0.01"), (1.5, "+1.50")]
)
def test_a_difference_that_rounds_to_nothing_is_no_minus_zero(value: float, text: str) -> None:
    assert signed(value, 2) == text


def test_a_score_that_rounds_to_nothing_is_no_minus_zero() -> None:
    assert number(-0.04, "%") == "0.0"
