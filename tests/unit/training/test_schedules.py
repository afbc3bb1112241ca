"""Schedules by their formulas."""

import pytest

from vitbench.objectives.progress import Progress
from vitbench.settings import problems
from vitbench.training.schedules import (
    Cosine,
    CosineWithOverlappingWarmup,
    EpochCosine,
    Poly,
    Schedule,
    Steps,
)


def rate(step: int, *, steps: int = 40_000) -> float:
    schedule = Poly(6e-5, warmup_steps=1500)
    return schedule.at(Progress(step, steps, epochs=1))


def test_poly_is_linear_after_the_warm_up() -> None:
    assert rate(1500) == pytest.approx(6e-5 * (1 - 1500 / 40_000), rel=1e-12)
    assert rate(20_000) == pytest.approx(3e-5, rel=1e-12)
    assert rate(39_999) == pytest.approx(6e-5 / 40_000, rel=1e-9)


def test_the_warm_up_multiplies_the_schedule() -> None:
    assert rate(0) == pytest.approx(6e-5 * 1e-6, rel=1e-9)
    assert rate(750) == pytest.approx(6e-5 * (1 - 750 / 40_000) * (1 - 0.5 * (1 - 1e-6)), rel=1e-12)


def test_a_power_and_an_end_shape_the_curve() -> None:
    schedule = Poly(0.1, end=0.02, power=2.0)
    assert schedule.at(Progress(5, 10, epochs=1)) == pytest.approx(0.02 + 0.08 * 0.25)
    assert schedule.scaled(2).at(Progress(0, 10, epochs=1)) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "schedule",
    [
        Cosine(-1.0, 0.0),
        Cosine(0.0, -1.0),
        Cosine(0.0, float("nan")),
        EpochCosine(0.0, -1.0),
        EpochCosine(0.0, 0.0, warmup_from=float("inf")),
        CosineWithOverlappingWarmup(0.0, -1.0),
        Poly(0.1, end=-1.0),
        Poly(0.1, warmup_ratio=2.0),
        Steps(0.1, share=1.5),
    ],
)
def test_a_schedule_below_zero_or_without_an_end_is_refused(schedule: Schedule) -> None:
    assert len(problems(schedule)) == 1


def test_a_warm_up_as_long_as_the_run_reaches_its_value() -> None:
    schedule = Cosine(2.0, 0.0, warmup_epochs=3, ahead=1)
    assert schedule.at(Progress(step=5, steps_per_epoch=2, epochs=3)) == 2.0
