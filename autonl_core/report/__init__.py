"""The report of a search: `render(facts)` returns it as one HTML page and as Markdown. It computes nothing new.

matplotlib is loaded by the first drawing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autonl_core.report.facts import Facts, PictureFacts
from autonl_core.report.markdown import as_markdown
from autonl_core.report.page import as_html

if TYPE_CHECKING:
    from autonl_core.report.canvas import Picture

__all__ = ["Facts", "PictureFacts", "Report", "draw_all", "render"]


@dataclass(frozen=True)
class Report:
    """A report in both forms. Equal facts give equal text."""

    html: str
    markdown: str


def draw_all(facts: PictureFacts) -> dict[str, Picture]:
    """Every picture of the report, by name."""
    from autonl_core.report import pictures

    return pictures.draw_all(facts)


def render(facts: Facts, pictures: Mapping[str, Picture] | None = None) -> Report:
    """The report of `facts` in both forms. `pictures`: what `draw_all` made of them earlier."""
    return Report(as_html(facts, draw_all(facts) if pictures is None else pictures), as_markdown(facts))
