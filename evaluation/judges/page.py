"""The table of judges as one HTML file that refers to nothing outside itself, in the dress of the report."""

from __future__ import annotations

from importlib import resources

from evaluation.judges.layout import headline, sheets
from evaluation.judges.result import JudgeTable
from evaluation.report.page import ILLEGIBLE


def page(table: JudgeTable, *, version: str) -> str:
    """The file's text."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(
        resources.files("evaluation.judges").joinpath("page.html.jinja").read_text("utf-8")
    )
    html = template.render(
        table=table,
        headline=headline(table),
        sheets=sheets(table),
        style=resources.files("evaluation.report").joinpath("page.css").read_text("utf-8"),
        version=version,
    )
    return ILLEGIBLE.sub("\N{REPLACEMENT CHARACTER}", html)
