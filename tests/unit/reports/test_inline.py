"""What a notebook shows of a record and of a report."""

from tests.unit.reports.conftest import knn_record
from vitbench.reports.inline import Report
from vitbench.reports.table import build_table

EVIL = "<script>alert(1)</script>"


def test_a_record_shows_its_score_with_its_interval() -> None:
    shown = knn_record(value=80.0)._repr_html_()
    assert "<b>top-1 (k=20)</b>" in shown
    assert "80.00%" in shown
    assert "78.00 … 82.00" in shown


def test_a_score_that_is_not_defined_shows_no_number() -> None:
    assert "<td>-</td>" in knn_record(value=None)._repr_html_()


def test_names_in_a_record_are_text_and_never_run() -> None:
    shown = knn_record(EVIL, notes=(EVIL,))._repr_html_()
    assert "<script" not in shown
    assert "&lt;script" in shown


def test_a_report_is_a_string_that_shows_the_page_in_a_sandbox() -> None:
    report = Report.of(build_table([knn_record("mine")]), "markdown")
    assert "mine" in report
    shown = report._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts" srcdoc="')
    assert "allow-same-origin" not in shown
    assert "&lt;html" in shown
    assert "<html" not in shown
