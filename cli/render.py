"""How searches, data sets and architectures look in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

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
_CHANNELS_PER_CELL = 8


def short_macs(macs: int | None) -> str:
    """4500000 -> 4.5M."""
    if macs is None:
        return "-"
    for suffix, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if macs >= scale:
            return f"{macs / scale:.4g}{suffix}"
    return str(macs)


def short_time(seconds: float | None) -> str:
    """83.2 -> 1m23s."""
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


def state_text(state: str) -> Text:
    return Text(state, style=STATE_STYLES.get(state, ""))


def event_table(events: Iterable[Mapping[str, Any]]) -> Table:
    """One line for each event, first to last."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("#", justify="right")
    for title in ("at", "attempt", "event", "detail"):
        table.add_column(title, overflow="fold")
    for event in events:
        detail = ", ".join(f"{name} {value}" for name, value in event["detail"].items())
        at = event["at"].replace("T", " ")[:19]
        table.add_row(str(event["seq"]), at, str(event["attempt"] or "-"), event["kind"], Text(detail))
    return table


def search_table(searches: Iterable[Mapping[str, Any]]) -> Table:
    """One line for each search."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("id", "state", "data set"):
        table.add_column(title)
    for title in ("budget", "MACs", "top-1", "done", "age"):
        table.add_column(title, justify="right")
    for search in searches:
        fraction = 1.0 if search["state"] == "succeeded" else (search["progress"] or {"fraction": 0.0})["fraction"]
        table.add_row(
            search["id"],
            state_text(search["state"]),
            search["dataset"],
            short_macs(search["flops_budget"]),
            short_macs(search["macs"]),
            pct(search["test_top1_pct"]),
            f"{100 * fraction:.0f}%",
            short_time((datetime.now(UTC) - datetime.fromisoformat(search["created_at"])).total_seconds()),
        )
    return table


_SHOWN_FILES = 5


def dataset_table(datasets: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title, justify in (
        ("name", "left"),
        ("kind", "left"),
        ("state", "left"),
        ("classes", "right"),
        ("train", "right"),
        ("test", "right"),
    ):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    table.add_column("pixels", justify="right")
    for dataset in datasets:
        classes = dataset["classes"] and len(dataset["classes"])
        numbers = (classes, dataset["train_images"], dataset["test_images"], dataset["image_size"])
        told = ("" if number is None else f"{number:,}" for number in numbers)
        table.add_row(dataset["name"], dataset["kind"], dataset["state"], *told)
    return table


_SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "dim"}


def dataset_report(dataset: Mapping[str, Any]) -> Group:
    """What there is in a data set, and all that its check found, worst first."""
    head = Text(dataset["name"], style="bold").append(f": {dataset['state']}", style="")
    if dataset["state"] == "ready":
        head.append(f", {dataset['train_images']:,} training and {dataset['test_images']:,} test images ")
        head.append(f"in {len(dataset['classes'])} classes, {dataset['image_size']} pixels")
    lines = [head]
    for problem in (dataset["report"] or {"problems": []})["problems"]:
        line = Text(f"{problem['severity']:8}", style=_SEVERITY_STYLES[problem["severity"]])
        line.append(problem["code"], style="bold")
        line.append(f" ({problem['count']:,})" if problem["count"] else "")
        lines += [line, Text(f"        {problem['detail']}", style="")]
        shown = problem["files"][:_SHOWN_FILES]
        lines += [Text(f"          {file}", style="dim") for file in shown]
        if problem["count"] > len(shown):
            lines.append(Text(f"          and {problem['count'] - len(shown):,} more", style="dim"))
    return Group(*lines)


def zoo_table(nets: Iterable[Mapping[str, Any]]) -> Table:
    """One line for each published network: what was published, then ours."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("name")
    for title in ("published", "params", "top-1", "MACs", "params"):
        table.add_column(title, justify="right")
    table.add_column("paper")
    for net in nets:
        ours = (f"{net['macs']:,}", f"{net['params']:,}") if net["macs"] else ("out of reach", "-")
        published = short_macs(net["published_macs"]), short_macs(net["published_params"])
        paper = net["source"].partition(",")[0] + ", " + net["source"].rpartition(", ")[2]
        table.add_row(net["name"], *published, pct(net["published_top1_pct"], 1), *ours, paper)
    return table


def fact_table(facts: Iterable[tuple[str, RenderableType]]) -> Table:
    """Names and values, one pair a line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in facts:
        table.add_row(name, value)
    return table


def search_facts(search: Mapping[str, Any]) -> RenderableType:
    """Everything worth a line about one search."""
    facts: list[tuple[str, RenderableType]] = [
        ("search", search["id"]),
        ("state", state_text(search["state"])),
        ("data set", search["dataset"]),
        ("budget", f"{search['flops_budget']:,} MACs"),
    ]
    if search["progress"] and search["state"] not in ("succeeded", "failed"):
        progress = search["progress"]
        facts.append(("phase", f"{progress['phase']}, {100 * progress['fraction']:.0f}% done"))
        facts.append(("remaining", short_time(progress["eta_s"])))
    if search["result"]:
        facts += result_facts(search["result"])
    elif search["best"]:
        facts.append(
            ("best so far", f"{search['best']['macs']:,} MACs, validation {pct(search['best']['val_top1_pct'])}")
        )
    if search["error"]:
        facts.append(("error", Text(f"{search['error']['type']}: {search['error']['detail']}", style="red")))
    for attempt in search["attempts"]:
        how = attempt["exit_class"] or "runs"
        detail = f": {attempt['detail']}" if attempt["detail"] else ""
        facts.append((f"attempt {attempt['attempt']}", f"{how} ({attempt['owner']}){detail}"))
    return fact_table(facts)


def result_facts(result: Mapping[str, Any]) -> list[tuple[str, RenderableType]]:
    """The numbers of a result."""
    found = result["architecture"]
    facts: list[tuple[str, RenderableType]] = [
        ("architecture", found["arch_id"]),
        ("arch string", found["arch_string"]),
        ("MACs", f"{found['macs']:,} of {result['flops_budget']:,} ({result['slack_pct']:.2f}% unused)"),
        ("parameters", f"{found['params']:,}"),
        ("test top-1", f"{pct(found['test_top1_pct'])} ({result['test_correct']} of {result['test_images']} images)"),
        ("seconds", ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in result["seconds_by_phase"].items())),
    ]
    for baseline in result["baselines"]:
        scored = baseline["problem"] or f"test top-1 {pct(baseline['test_top1_pct'])}"
        facts.append(("baseline", Text(f"{baseline['name']}: {scored} at {baseline['macs']:,} MACs")))
    return facts + [("note", Text(note, style="yellow")) for note in result["notes"]]


def architecture_drawing(architecture: Mapping[str, Any]) -> RenderableType:
    """The network block by block: a bar as long as the block is wide, LightNL marked."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("#", "block", "kernel", "expand", "stride", "map", "width", ""):
        table.add_column(
            title, justify="right" if title in ("#", "kernel", "expand", "stride", "map", "width") else "left"
        )
    table.add_column("MACs", justify="right")
    table.add_column("LightNL")
    for number, block in enumerate(architecture["blocks"], start=1):
        light_nl = block["light_nl"]
        mark = f"◆ {light_nl['nl_ratio']:g}, s{light_nl['nl_stride']}" if light_nl else ""
        bar = "█" * max(1, round(block["out_channels"] / _CHANNELS_PER_CELL))
        table.add_row(
            str(number),
            "MBConv" + (" + SE" if block["se_ratio"] else ""),
            f"{block['kernel_size']}×{block['kernel_size']}",
            f"×{block['expand_ratio']:g}",
            str(block["stride"]),
            f"{block['out_size']}×{block['out_size']}",
            str(block["out_channels"]),
            Text(bar, style="yellow" if light_nl else "blue"),
            short_macs(block["macs"]),
            Text(mark, style="bold yellow"),
        )
    return Group(Text(architecture["arch_string"], style="dim"), Text(), table)
