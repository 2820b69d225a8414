"""Renders searches, datasets, architectures and published networks for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autonl_core.wording.counts import counted
from autonl_core.wording.event_details import detail_text
from cli.accuracies import validation_pct

STATE_STYLES = {
    "queued": "cyan",
    "running": "bold blue",
    "pausing": "magenta",
    "paused": "magenta",
    "cancelling": "yellow",
    "cancelled": "yellow",
    "succeeded": "bold green",
    "failed": "bold red",
}
_BAR_CELLS = 6  # of the widest block


def short_macs(macs: int | None) -> str:
    """Format a number of MACs: 4500000 -> 4.5M."""
    if macs is None:
        return "-"
    for suffix, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if macs >= scale:
            return f"{macs / scale:.4g}{suffix}"
    return str(macs)


def short_time(seconds: float | None) -> str:
    """Format a duration: 83.2 -> 1m23s."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def pct(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}%"


def share_done(search: Mapping[str, Any]) -> float:
    """How much of a search is done: 1 only once it has succeeded, however little is left before."""
    if search["state"] == "succeeded":
        return 1.0
    return math.floor(100 * min(search["progress"]["fraction"], 0.99) + 1e-9) / 100 if search["progress"] else 0.0


def state_text(state: str) -> Text:
    return Text(state, style=STATE_STYLES.get(state, ""))


def plain_table() -> Table:
    """A table with a dim header and no lines."""
    return Table(box=None, header_style="dim", pad_edge=False)


def event_table(events: Iterable[Mapping[str, Any]]) -> Table:
    """One row per event, oldest first."""
    table = plain_table()
    table.add_column("#", justify="right")
    for title in ("at", "attempt", "event", "detail"):
        table.add_column(title, overflow="fold")
    for event in events:
        at, detail = event["at"].replace("T", " ")[:19], Text(detail_text(event["detail"]))
        table.add_row(str(event["seq"]), at, str(event["attempt"] or "-"), event["kind"], detail)
    return table


def search_table(searches: Iterable[Mapping[str, Any]]) -> Table:
    """One row per search."""
    table = plain_table()
    for title in ("id", "state", "dataset"):
        table.add_column(title)
    for title in ("budget", "MACs", "top-1", "done", "age"):
        table.add_column(title, justify="right")
    for search in searches:
        state = state_text(search["state"])
        if queue := search.get("queue"):
            state.append(f", number {queue['position']}")
        table.add_row(
            search["id"],
            state,
            search["dataset"],
            short_macs(search["flops_budget"]),
            short_macs(search["macs"] or search.get("best_macs")),
            _accuracy(search),
            f"{100 * share_done(search):.0f}%",
            short_time((datetime.now(UTC) - datetime.fromisoformat(search["created_at"])).total_seconds()),
        )
    return table


def _accuracy(search: Mapping[str, Any]) -> str:
    """Of the result on test images, or else of the best network so far on validation images."""
    if search["test_top1_pct"] is None and search.get("best_val_top1_pct") is not None:
        return f"validation {validation_pct(search['best_val_top1_pct'], search['val_images'])}"
    return pct(search["test_top1_pct"])


def dataset_table(datasets: Iterable[Mapping[str, Any]]) -> Table:
    """One row per dataset."""
    table = plain_table()
    for title in ("name", "kind", "state"):
        table.add_column(title)
    for title in ("classes", "train", "test", "pixels"):
        table.add_column(title, justify="right")
    for dataset in datasets:
        classes = dataset["classes"] and len(dataset["classes"])
        numbers = (classes, dataset["train_images"], dataset["test_images"], dataset["image_size"])
        columns = ("" if number is None else f"{number:,}" for number in numbers)
        table.add_row(dataset["name"], dataset["kind"], dataset["state"], *columns)
    return table


_SHOWN_FILES = 5
_SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "dim"}


def dataset_report(dataset: Mapping[str, Any]) -> Group:
    """What a dataset contains, and every problem its check found, worst first."""
    head = Text(dataset["name"], style="bold").append(f": {dataset['state']}", style="")
    if dataset["state"] == "ready":
        head.append(f", {dataset['train_images']:,} training and {counted(dataset['test_images'], 'test image')} ")
        head.append(f"in {counted(len(dataset['classes']), 'class')}, {counted(dataset['image_size'], 'pixel')}")
    lines: list[RenderableType] = [head]
    for problem in (dataset["report"] or {"problems": []})["problems"]:
        line = Text(f"{problem['severity']:8}", style=_SEVERITY_STYLES[problem["severity"]])
        line.append(problem["code"], style="bold")
        line.append(f" ({problem['count']:,})" if problem["count"] else "")
        lines += [line, _indented(problem["detail"], 8)]
        shown = problem["files"][:_SHOWN_FILES]
        lines += [_indented(file, 10, "dim") for file in shown]
        if problem["count"] > len(shown):
            lines.append(_indented(f"and {problem['count'] - len(shown):,} more", 10, "dim"))
    return Group(*lines)


def _indented(text: str, columns: int, style: str = "") -> Padding:
    """`text`, every line of it, `columns` from the left."""
    return Padding(Text(text, style=style), (0, 0, 0, columns), expand=False)


def zoo_table(nets: Iterable[Mapping[str, Any]]) -> Table:
    """One row per published network: its published figures, then those counted here."""
    table = plain_table()
    table.add_column("name", no_wrap=True)  # other commands take it
    for title in ("published MACs", "params", "top-1", "MACs here", "params here"):
        table.add_column(title, justify="right")
    table.add_column("paper")
    for net in nets:
        counted = (f"{net['macs']:,}", f"{net['params']:,}") if net["macs"] else ("out of reach", "-")
        published = short_macs(net["published_macs"]), short_macs(net["published_params"])
        paper = net["source"].partition(",")[0] + ", " + net["source"].rpartition(", ")[2]
        table.add_row(net["name"], *published, pct(net["published_top1_pct"], 1), *counted, paper)
    return table


def fact_table(facts: Iterable[tuple[str, RenderableType]]) -> Table:
    """Names and values, one pair per row."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in facts:
        table.add_row(name, value)
    return table


def architecture_drawing(
    architecture: Mapping[str, Any], times_ms: Mapping[str, float] | None = None
) -> RenderableType:
    """The network block by block, with a bar for the width of each block and a mark for LightNL.

    Args:
        times_ms: `layer_times_ms` of a result.
    """
    whole_ms = sum((times_ms or {}).values())
    table = plain_table()
    for title in ("#", "block", "k", "e", "s", "map", "width", "", "MACs", "share", *(["time"] if times_ms else [])):
        table.add_column(title, justify="left" if title in ("block", "") else "right", no_wrap=True)
    table.add_column("LightNL", no_wrap=True)
    widest = max(block["out_channels"] for block in architecture["blocks"])
    for number, block in enumerate(architecture["blocks"], start=1):
        light_nl = block["light_nl"]
        mark = f"◆ {light_nl['nl_ratio']:g}, s{light_nl['nl_stride']}" if light_nl else ""
        bar = "█" * max(1, round(_BAR_CELLS * block["out_channels"] / widest))
        table.add_row(
            str(number),
            "MBConv" + (" + SE" if block["se_ratio"] else ""),
            str(block["kernel_size"]),
            f"{block['expand_ratio']:g}",
            str(block["stride"]),
            f"{block['out_size']}²",
            str(block["out_channels"]),
            Text(bar, style="yellow" if light_nl else "blue"),
            short_macs(block["macs"]),
            pct(100 * block["macs"] / architecture["macs"], 1),
            *([pct(100 * times_ms[f"block {number}"] / whole_ms, 1)] if times_ms else []),
            Text(mark, style="bold yellow"),
        )
    legend = (Text(line, style="dim") for line in _drawing_legend(architecture, is_timed=bool(times_ms)))
    return Group(Text(architecture["arch_string"], style="dim"), Text(), table, *legend)


def _drawing_legend(architecture: Mapping[str, Any], *, is_timed: bool) -> Iterator[str]:
    """What the columns mean, and the shares of what is no block."""
    has_light_nl = any(block["light_nl"] for block in architecture["blocks"])
    yield "k: kernel, e: expansion, s: stride" + ("; LightNL: ratio of channels, stride" if has_light_nl else "")
    if "stem" in architecture:  # a service of an earlier version does not say it
        ends = (f"{end} {pct(100 * architecture[end]['macs'] / architecture['macs'], 1)}" for end in ("stem", "head"))
        yield f"share: of the MACs; {', '.join(ends)}"
    if is_timed:
        yield "time: share of it for one image in PyTorch, batch norms folded"
