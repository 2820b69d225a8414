"""Renders one search: where it is, and its result with the figures of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from autonl_core.wording.counts import counted
from autonl_core.wording.latencies import latency_text
from autonl_core.wording.probabilities import off_by
from cli.accuracies import validation_text
from cli.render import fact_table, pct, share_done, short_macs, state_text
from cli.waiting import queue_text, time_left

_SHOWN_CLASSES = 10


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels as they are written in commands, by their keys."""
    return ", ".join(f"{key}:{value}" for key, value in sorted(labels.items()))


def search_facts(search: Mapping[str, Any]) -> RenderableType:
    """The current state of one search, and its result once there is one."""
    facts: list[tuple[str, RenderableType]] = [
        ("search", search["id"]),
        ("state", state_text(search["state"])),
        ("dataset", search["dataset"]),
        ("budget", f"{search['flops_budget']:,} MACs"),
        ("start", start_text(search["config"])),
    ]
    facts += [("labels", Text(labels_text(search["labels"])))] if search["labels"] else []
    if queued := queue_text(search):
        facts.append(("queue", queued))
    facts += [("all budgets", ", ".join(map(_budget_of, search["budgets"])))] if search["budgets"] else []
    if search["progress"] and search["state"] not in ("succeeded", "failed"):
        progress = search["progress"]
        facts.append(("phase", f"{progress['phase']}, {100 * share_done(search):.0f}% done"))
        if search["state"] in ("running", "pausing"):
            facts.append(("remaining", time_left(progress)))
    if search["state"] == "paused":
        facts.append(("to go on", saved_text(search)))
    if search["result"]:
        facts += result_facts(search["result"])
        facts += _next_commands(search)
    elif search["best"]:
        measured = validation_text(search)
        facts.append(("best so far", f"{search['best']['macs']:,} MACs{f', {measured} right' if measured else ''}"))
    if search["error"]:
        facts.append(("error", Text(f"{search['error']['type']}: {search['error']['detail']}", style="red")))
    for attempt in search["attempts"]:
        outcome = attempt["exit_class"] or "running"
        detail = f": {attempt['detail']}" if attempt["detail"] else ""
        facts.append((f"attempt {attempt['attempt']}", f"{outcome} ({attempt['owner']}){detail}"))
    return fact_table(facts)


def start_text(config: Mapping[str, Any]) -> str:
    """Which weights a search starts from, and at how many pixels, as far as that is decided."""
    init, resolution = config.get("init", "none"), config.get("resolution")
    weights = "random weights" if init == "none" else f"the weights {init}"
    return weights + (f" at {counted(resolution, 'pixel')}" if resolution else "")


def saved_text(search: Mapping[str, Any]) -> str:
    """Where a paused search would go on."""
    if search.get("saved_step") == 0:  # an earlier service does not say
        return f"nothing is saved yet, `autonl resume {search['id']}` begins from the start"
    return f"`autonl resume {search['id']}` goes on from the last run state"


def _budget_of(budget: Mapping[str, Any]) -> str:
    """One of several budgets, and the search for it."""
    macs = short_macs(budget["flops_budget"])
    return f"{macs}: {budget['search_id']} ({budget['state']})" if budget["search_id"] else f"{macs}: not begun"


def _next_commands(search: Mapping[str, Any]) -> list[tuple[str, RenderableType]]:
    """What can be done with a result: the commands, of files that there are."""
    files, search_id = search["result"]["files"], search["id"]
    commands = []
    if "checkpoint" in search["links"]:
        commands.append(
            ("download", f"autonl download {search_id}" + (" --format bundle" if "bundle" in files else ""))
        )
    if "report" in search["links"]:
        commands.append(("report", f"autonl report {search_id}"))
    if not {"onnx", "onnx-uint8", "onnx-int8"}.isdisjoint(files):
        commands.append(("predict", f"autonl predict -s {search_id} IMAGE..."))
    if search["supernet"] is not None:
        command = f"autonl search -d {search['dataset']} --init search:{search_id} -b MACs"
        commands.append(("another budget", f"{command} (until {search['supernet']['kept_until'][:10]})"))
    return [(name, Text(command)) for name, command in commands]


def result_facts(result: Mapping[str, Any]) -> list[tuple[str, RenderableType]]:
    """The numbers of a result."""
    architecture = result["architecture"]
    correct = f"({result['test_correct']:,} of {counted(result['test_images'], 'image')})"
    facts: list[tuple[str, RenderableType]] = [
        ("architecture", architecture["arch_id"]),
        ("MACs", f"{architecture['macs']:,} of {result['flops_budget']:,} ({result['slack_pct']:.2f}% unused)"),
        ("parameters", f"{architecture['params']:,}"),
        *_constraints(result["certificate"]),
        *_latency(result.get("latency_check")),
        ("test top-1", f"{pct(architecture['test_top1_pct'])} {correct}"),
        *_probabilities(result.get("calibration")),
        ("seconds", ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in result["seconds_by_phase"].items())),
    ]
    if result.get("classes"):  # an earlier service counts none
        facts.append(("by class", _by_class(result["classes"])))
    for baseline in result["baselines"]:
        score = f"test top-1 {pct(baseline['test_top1_pct'])} at {baseline['macs']:,} MACs"
        facts.append(("baseline", Text(f"{baseline['name']}: {baseline['problem'] or score}")))
    return facts + [("note", Text(note, style="yellow")) for note in result["notes"]]


def _constraints(certificate: Mapping[str, Any] | None) -> list[tuple[str, RenderableType]]:
    """What the network has of what is limited besides MACs."""
    checks = (certificate or {}).get("constraints", ())  # an earlier service limits nothing else
    return [(check["name"], f"{check['achieved']:,} of {check['at_most']:,} allowed") for check in checks]


def _latency(check: Mapping[str, Any] | None) -> list[tuple[str, RenderableType]]:
    """The latency on the device that it is limited for; an earlier service knows no devices."""
    if check is None:
        return []
    text = latency_text(check["predicted_ms"], check["at_most_ms"], check["measured_ms"], check["not_measured"])
    return [("latency", Text(f"{text}, on {check['device']}"))]


def _probabilities(calibration: Mapping[str, Any] | None) -> list[tuple[str, RenderableType]]:
    """How far they can be believed; nothing where few test images or an earlier service did not show it."""
    if calibration is None:
        return []
    off = off_by(calibration["error_after"], calibration["error_before"], calibration["temperature"])
    return [("probabilities", off)]


def _by_class(classes: Sequence[Mapping[str, Any]]) -> Text:
    """How many test images of each class are recognised, the lowest share first."""
    shown = sorted(classes, key=_recall)[:_SHOWN_CLASSES]
    words = [f"{each['name']} {each['correct']:,} of {each['test_images']:,}" for each in shown]
    more = f", and {len(classes) - len(shown):,} more" if len(classes) > len(shown) else ""
    return Text(f"lowest first: {', '.join(words)}{more}")


def _recall(figures: Mapping[str, Any]) -> float:
    return float(figures["correct"] / figures["test_images"]) if figures["test_images"] else 0.0
