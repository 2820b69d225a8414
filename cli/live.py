"""Follows a search until it ends or is paused: a live display in a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as ProgressColumns
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.accuracies import validation_text
from cli.client import RESTING_STATES, Client
from cli.render import pct, share_done, short_macs, state_text
from cli.waiting import queue_text, time_left

_POLL_S = 0.5
_PLAIN_EVERY_S = 5.0  # between two lines while the phase stays the same
_BAR_WIDTH = 40


def follow_search(client: Client, search_id: str, console: Console) -> dict[str, Any]:
    """Show progress until the search is final or paused; returns the search in that state."""
    follow = _follow_live if console.is_terminal else _follow_plain
    return follow(client, search_id, console)


@contextmanager
def progress_bar(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function of (bytes done, total bytes) that draws a bar if `console` is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with ProgressColumns(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done_bytes, total_bytes: bar.update(task, completed=done_bytes, total=total_bytes)


def _follow_live(client: Client, search_id: str, console: Console) -> dict[str, Any]:
    with Live(console=console, refresh_per_second=8, transient=False) as live:
        while True:
            search = client.poll(search_id)
            live.update(_panel(search))
            if search["state"] in RESTING_STATES:
                return search
            time.sleep(_POLL_S)


def _follow_plain(client: Client, search_id: str, console: Console) -> dict[str, Any]:
    shown_stage, shown_at = ("", ""), 0.0
    while True:
        search = client.poll(search_id)
        stage = (search["state"], search["phase"] or "")
        if stage != shown_stage or time.monotonic() - shown_at > _PLAIN_EVERY_S:
            console.print(_line(search), highlight=False, soft_wrap=True)
            shown_stage, shown_at = stage, time.monotonic()
        if search["state"] in RESTING_STATES:
            return search
        time.sleep(_POLL_S)


def _line(search: Mapping[str, Any]) -> str:
    parts = [search["state"]]
    progress = None if search["state"] in RESTING_STATES else search["progress"]
    if progress:
        parts += [_phase(progress), f"{100 * share_done(search):3.0f}%"]
        if progress["epochs"]:
            parts.append(f"epoch {progress['epoch']}/{progress['epochs']}")
    if best := search["best"]:
        parts.append(f"{best['macs']:,} of {search['flops_budget']:,} MACs")
        parts.append(_accuracy(search))
    if queued := queue_text(search):
        parts.append(queued)
    elif progress:
        parts.append(time_left(progress))
    return "  ".join(parts)


def _phase(progress: Mapping[str, Any]) -> str:
    """The phase, and the baseline that is trained in it."""
    baseline = progress.get("baseline")  # servers of earlier versions have none
    return f"{progress['phase']} baseline {baseline}" if baseline else str(progress["phase"])


def _panel(search: Mapping[str, Any]) -> RenderableType:
    progress = search["progress"] or {"phase": "waiting", "fraction": 0.0, "epoch": 0, "epochs": 0, "eta_s": None}
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True, width=12)
    table.add_column()
    resting, fraction = search["state"] in RESTING_STATES, share_done(search)
    done_bar = Table.grid(padding=(0, 1))
    queued = queue_text(search)
    remaining = "" if resting or queued else time_left(progress)
    done_bar.add_row(ProgressBar(total=1.0, completed=fraction, width=_BAR_WIDTH), f"{100 * fraction:3.0f}%", remaining)
    epochs = f", epoch {progress['epoch']}/{progress['epochs']}" if progress["epochs"] else ""
    table.add_row("search", f"{search['id']} on {search['dataset']}")
    table.add_row("state", state_text(search["state"]))
    if queued:
        table.add_row("queue", queued)
    table.add_row("phase", f"{_phase(progress)}{epochs}")
    table.add_row("done", done_bar)
    table.add_row("MACs", _budget_bar(search))
    table.add_row("accuracy", _accuracy(search))
    if len(search["attempts"]) > 1:
        table.add_row("attempts", str(len(search["attempts"])))
    return Group(table)


def _budget_bar(search: Mapping[str, Any]) -> RenderableType:
    budget, best = search["flops_budget"], search["best"]
    if best is None:
        return Text(f"at most {short_macs(budget)}")
    used = best["macs"] / budget
    style = "red" if used > 1 else "green"
    row = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=1.0, completed=min(used, 1.0), width=_BAR_WIDTH, complete_style=style, finished_style=style)
    row.add_row(bar, f"{100 * used:3.0f}%", f"{short_macs(best['macs'])} of {short_macs(budget)}")
    return row


def _accuracy(search: Mapping[str, Any]) -> str:
    if search["result"]:
        return f"{pct(search['result']['architecture']['test_top1_pct'])} top-1 on the test split"
    measured = validation_text(search)
    return f"{measured} right, best so far" if measured else "-"
