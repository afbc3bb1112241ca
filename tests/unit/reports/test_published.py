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
