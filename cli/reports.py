"""`autonl report`: downloads the report of a search."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from cli.options import Url, connect, stop_on_error
from cli.searches import SearchId

STDOUT = Console()


class ReportFormat(StrEnum):
    """File formats of a report."""

    HTML = "html"
    MD = "md"


@stop_on_error
def report(
    search_id: SearchId,
    report_format: Annotated[
        ReportFormat, typer.Option("--format", "-f", help="html: a single file with figures; md: Markdown tables")
    ] = ReportFormat.HTML,
    target: Annotated[
        Path | None, typer.Option("--output", "-o", help="file to write (default: after the search)")
    ] = None,
    url: Url = None,
) -> None:
    """Download the report of a search, verified by its SHA-256: the network, its accuracy, and how it was found."""
    name = "markdown" if report_format == ReportFormat.MD else "html"
    target = target or Path(f"autonl-{search_id}-report.{report_format}")
    with connect(url) as client:
        client.download(f"/searches/{search_id}/report?format={name}", target)
    STDOUT.print(Text(f"{target} ({target.stat().st_size:,} bytes)"), soft_wrap=True)
