"""A table in the form that is asked for."""

import io
from typing import Literal

from vitbench.reports import formats
from vitbench.reports.table import Table

Form = Literal["rich", "markdown", "csv", "latex", "json", "html"]
WIDTH = 120  # columns of a terminal report that goes to no terminal


def render(table: Table, form: Form) -> str:
    """Return a table as text of one form."""
    if form == "rich":
        from rich.console import Console

        from vitbench.reports.terminal import show

        stream = io.StringIO()
        show(table, Console(file=stream, width=WIDTH))
        return stream.getvalue()
    if form == "html":
        from vitbench.reports.page import html

        return html(table)
    forms = {
        "markdown": formats.markdown,
        "csv": formats.csv,
        "latex": formats.latex,
        "json": formats.json,
    }
    return forms[form](table)
