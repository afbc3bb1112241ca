import tomllib
from importlib.resources import files

from vitbench.engine.presets import preset_settings
from vitbench.engine.protocol import protocols
from vitbench.models.manifest import find_manifest, manifest_names
from vitbench.reports.published import published_records


def test_every_number_of_the_five_tables_ships_once() -> None:
    numbers = [
        (record.citation.partition(",")[0], score.value)
        for record in published_records()
        for score in record.scores
    ]
    tables = [table for table, _ in numbers if table.startswith("Table")]
    assert {table: tables.count(table) for table in set(tables)} == {
        "Table 1": 12,
        "Table 2": 4,
        "Table 3": 36,
        "Table 4": 12,
        "Table 5": 36,
    }


def test_every_printed_row_says_where_it_stands() -> None:
    for record in published_records():
        assert record.source == "published"
        assert len(record.citation) > 20
        assert sum(score.primary for score in record.scores) == 1


def test_printed_jf_is_the_mean_of_j_and_f_within_rounding() -> None:
    for record in published_records():
        values = {score.metric: score.value for score in record.scores}
        if "j_mean" in values:
            mean = ((values["j_mean"] or 0) + (values["f_mean"] or 0)) / 2
            assert abs(mean - (values["jf_mean"] or 0)) <= 0.051


def test_the_figures_of_the_manifests_ship_too() -> None:
    scores = {
        (record.subject.name.partition(" · ")[0], record.protocol.name): record.scores[0].value
        for record in published_records()
    }
    assert scores["dino-vits16", "knn"] == 74.5
    assert scores["dino-vitb8", "linear-probe"] == 80.1


def test_the_setup_of_a_figure_is_a_preset_of_its_protocol() -> None:
    text = files("vitbench.reports").joinpath("published.toml").read_text()
    setups = tomllib.loads(text)["protocols"]
    scores = [one for name in manifest_names() for one in find_manifest(name).published]
    for score in scores:
        kind = protocols.get(score.protocol)
        assert score.metric in {metric.name for metric in kind.metrics}
        if score.setup:
            assert setups[score.setup]["name"] == score.protocol
            preset_settings(kind, setups[score.setup]["preset"])
    assert {"discovery", "segmentation"} <= {one.protocol for one in scores if one.setup}


def test_figures_of_one_protocol_on_several_data_sets_stay_apart() -> None:
    lost = {
        (record.dataset.name, record.dataset.split): record.scores[0].value
        for record in published_records()
        if record.id.startswith("dino-vits16/discovery/lost") and record.dataset
    }
    assert lost == {
        ("voc2007", "trainval"): 61.9, ("voc2012", "trainval"): 64.0, ("coco", "train"): 50.7
    }  # fmt: skip


def test_an_error_in_meters_is_better_when_lower() -> None:
    errors = [
        score for record in published_records() for score in record.scores if score.metric == "rmse"
    ]
    assert errors
    assert all(score.unit == "" and score.higher_is_better is False for score in errors)
