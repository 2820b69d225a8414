"""The report of a search: `render(facts)` returns it as one HTML page and as Markdown. It computes nothing new."""

from __future__ import annotations

from dataclasses import dataclass

from autonl_core.report.facts import Facts
from autonl_core.report.markdown import as_markdown
from autonl_core.report.page import as_html

__all__ = ["Facts", "Report", "render"]


@dataclass(frozen=True)
class Report:
    """A report in both forms. Equal facts give equal text."""

    html: str
    markdown: str


def render(facts: Facts) -> Report:
    """The report of `facts` in both forms."""
    return Report(as_html(facts), as_markdown(facts))
