"""From TOML to a matrix, and what is said of a file with mistakes."""

import pytest

from tests.unit.studies.conftest import TWO
from vitbench.errors import SettingError, UnknownName
from vitbench.studies.catalog import find_study, study_names
from vitbench.studies.read_study import read_study

TRAINED = """
[train]
recipe = "selfpatch"
preset = "small"
data = "synthetic"
arch = "vit_mini_patch{patch}_64"
[rows."k={k} /{patch}"]
each = { k = [1, 4], patch = [16, 8] }
patch.k = "{k}"
crops.blur = [0.0, 0.0, 0.0]
[columns.knn]
"""


def test_a_row_may_have_seeds_of_its_own() -> None:
    text = TWO.replace("[rows.other]", "[rows.other]\nseeds = [0, 1]")
    names = [cell.name for cell in read_study(text, "two").cells]
    assert names[:3] == ["one/knn", "one/retrieval", "other/knn#0"]
    assert len(names) == 6


def test_a_product_makes_a_row_of_each_combination() -> None:
    study = read_study(TRAINED, "mine")
    assert [row.name for row in study.rows] == ["k=1 /16", "k=1 /8", "k=4 /16", "k=4 /8"]
    last = study.trainings[-1]
    recipe, options = last.made
    assert recipe.arch == "vit_mini_patch8_64"
    assert [getattr(term.objective, "k", None) for term in recipe.terms] == [None, 4]
    assert recipe.crops.blur == (0.0, 0.0, 0.0)
    assert options.inputs.data == "synthetic"
    words = last.words()
    assert words[:5] == ["selfpatch", "--preset", "small", "--data", "synthetic"]
    assert words[words.index("--patch.k") + 1] == "4"
    assert words[words.index("--crops.blur") + 1 :][:3] == ["0.0", "0.0", "0.0"]


def test_the_words_of_a_training_make_the_recipe_that_the_study_means() -> None:
    from vitbench.cli.flags import parse
    from vitbench.cli.recipe_flags import as_flags, from_flags
    from vitbench.training.presets import with_preset
    from vitbench.training.recipes import recipes

    training = read_study(
        TRAINED + "\n[scale.off]\ntrain.patch.wrap = false", "m", "off"
    ).trainings[0]
    own = [word for word in training.words()[5:] if word]
    own = own[: own.index("--out")]
    recipe = with_preset(recipes.get("selfpatch")(), "small")
    (found,) = parse({"recipe": as_flags(recipe)}, own, prog="", description="")
    assert from_flags(recipe, found) == training.made[0]
    assert "--patch.no-wrap" in own


def test_another_setting_makes_another_folder_and_other_cells() -> None:
    before, after = (
        read_study(text, "m") for text in (TRAINED, TRAINED.replace("[1, 4]", "[2, 4]"))
    )
    assert before.trainings[0].folder != after.trainings[0].folder
    assert before.trainings[2].folder == after.trainings[2].folder
    assert before.cells[0].key != after.cells[0].key
    assert before.cells[2].key == after.cells[2].key


def test_a_scale_is_merged_over_the_file() -> None:
    study = read_study(
        TWO + "[scale.tiny]\ncolumns.knn.limit = 7\nskip = ['other/*']", "two", "tiny"
    )
    assert study.name == "two-tiny"
    assert study.columns[0].run.limit == 7
    assert [cell.name for cell in study.cells] == ["one/knn", "one/retrieval"]
    with pytest.raises(UnknownName, match="full, tiny"):
        read_study(TWO + "[scale.tiny]", "two", "large")


def test_facts_of_a_checkpoint_stand_behind_it() -> None:
    text = TWO.replace(
        'patch8_64"\n', 'patch8_64"\nmean = [0.5, 0.5, 0.5]\npooling = "mean_pool"\n', 1
    )
    spec = read_study(text, "two").rows[0].checkpoint
    assert spec == "random:vit_micro_patch8_64@mean=0.5,0.5,0.5,pooling=mean_pool"


def test_every_mistake_of_a_file_is_told_at_once() -> None:
    text = """
    seed = 3
    skip = ["x/y"]
    train.preset = "small"
    [rows.a]
    checkpoint = 7
    [rows.b]
    [rows.c]
    recipe = "dino"
    epoch = 2
    [rows.d]
    recipe = "dino"
    [rows.e]
    recipe = "dino"
    [columns.knn]
    kk = 3
    [columns.none]
    [[claims]]
    better = "a"
    than = "q"
    """
    with pytest.raises(SettingError) as caught:
        read_study(text, "bad")
    said = str(caught.value)
    for part in (
        "the study has no 'seed'",
        "rows.a: checkpoint is 7, expected str",
        "rows.b: it has neither a recipe nor a checkpoint",
        "there is no setting 'epoch'",
        "there is no setting 'kk'",
        "no protocol 'none'",
        "there is no row 'q'",
        "rows: 'e' trains as 'd'",
        "skip: 'x/y' is no ROW/COLUMN",
    ):
        assert part in said


@pytest.mark.parametrize("name", study_names())
def test_a_study_that_ships_has_cells_at_full_and_small_scale(name: str) -> None:
    full, small = find_study(name), find_study(name, "small")
    assert full.cells
    assert small.cells
    assert {column.data for column in small.columns} == {"synthetic"}
    for cell in full.cells:
        _ = cell.key


def test_printed_rows_of_the_shipped_studies_exist() -> None:
    from vitbench.reports.published import published_records, row_id

    rows = {row_id(record) for record in published_records()}
    for name in study_names():
        assert {row.printed for row in find_study(name).rows if row.printed} <= rows


def test_a_trained_checkpoint_is_scored_with_the_facts_of_its_row() -> None:
    cell = next(c for c in find_study("table3", "small").cells if c.name == "EsViT/davis")
    assert cell.row.training is not None
    assert cell.row.spec == f"{cell.row.training.folder}@position-rule=dino"
    assert str(cell.request["checkpoint"]).endswith("@position-rule=dino")
    assert cell.row.training.made[0].position_rule == "esvit"


def test_a_mistyped_fact_of_a_training_is_refused() -> None:
    text = TRAINED.replace('patch.k = "{k}"', 'patch.k = "{k}"\nfacts = { position-rul = "dino" }')
    with pytest.raises(SettingError, match="position-rul"):
        read_study(text, "facts")
