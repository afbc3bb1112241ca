"""What one step or pass may ask of a CUDA device, measured on one that is not there."""

import pytest

from tests.cuda_path.budgets import BUDGETS
from tests.cuda_path.conftest import Ask

pytestmark = pytest.mark.xdist_group("fake CUDA device")


@pytest.mark.parametrize("name", BUDGETS)
def test_a_pass_stays_within_its_budget(name: str, ask: Ask) -> None:
    found = ask(name)
    measured, budget = found["measured"], BUDGETS[name]
    spent = {part: value for part, value in measured.items() if value > getattr(budget, part)}
    assert spent == {}, (budget, found["syncs"], found["copies"])
