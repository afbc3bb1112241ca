"""A report as text that a notebook shows as the page."""

from html import escape
from typing import Self

from vitbench.reports.render import Form, render
from vitbench.reports.table import Table

HEIGHT = 720  # px of the frame in a notebook


class Report(str):
    """The text of a report; a notebook shows the HTML page in a frame of its own instead.

    The page may hold what strangers wrote, so its frame is a sandbox: its scripts run, and reach
    nothing of the notebook.
    """

    table: Table

    @classmethod
    def of(cls, table: Table, form: Form) -> Self:
        """Write a table in a form."""
        made = cls(render(table, form))
        made.table = table
        return made

    def _repr_html_(self) -> str:
        page = escape(render(self.table, "html"), quote=True)
        return (
            f'<iframe sandbox="allow-scripts" srcdoc="{page}" title="vitbench report"'
            f' style="width: 100%; height: {HEIGHT}px; border: 0"></iframe>'
        )
