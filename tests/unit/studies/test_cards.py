from pathlib import Path

from tests.unit.studies.conftest import TWO, Answer
from vitbench.studies.cards import write_cards
from vitbench.studies.cell_state import states_of
from vitbench.studies.read_study import read_study


def test_rows_that_differ_in_special_characters_have_cards_of_their_own(
    results: Path, answer: Answer
) -> None:
    text = TWO.replace("[rows.one]", '[rows."DINO+"]').replace("[rows.other]", '[rows."dino+ *"]')
    study = read_study(text, "two")
    for cell in study.cells:
        answer(cell)
    written = list(write_cards(study, states_of(results, study), Path("cards")))
    assert [path.name for path in written] == ["DINO+.md", "dino+-2.md"]
    assert [path.read_text().splitlines()[0] for path in written] == ["# DINO+", "# dino+ \\*"]
