"""Renders searches side by side for a terminal, each under a letter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autonl_core.wording.counts import counted
from cli.render import pct, plain_table, short_macs, short_time, state_text
from cli.render_search import labels_text

_SHOWN_CLASSES = 10
_LEAST_SHOWN = 0.001  # of probabilities
_LEGEND = "≠: not the same; k: kernel, s: stride, e: expansion, c: channels, se: squeeze-excite, nl: LightNL; with MACs"
Searches = Sequence[Mapping[str, Any]]


def comparison_tables(found: Mapping[str, Any]) -> RenderableType:
    """All of a comparison, what matters most first."""
    searches = found["searches"]
    parts: list[RenderableType] = [_figures(found)]
    parts += [_title("Accuracy"), *_accuracy_lines(found)]
    parts += [_title("Settings that differ"), _settings(searches, found["settings_that_differ"])]
    if found["layers"]:
        parts += [_title("Networks, block by block"), _layers(searches, found["layers"]), Text(_LEGEND, style="dim")]
    if found["classes"]:
        parts += [_title("Recognised by class, the most different first"), *_classes(searches, found["classes"])]
    return Group(*parts)


def _title(words: str) -> Text:
    return Text(f"\n{words}", style="bold")


def _table(searches: Searches, *before: str) -> Table:
    """A column for each search, after those named `before`."""
    table = plain_table()
    for name in before:
        table.add_column(name, no_wrap=True)
    for letter in ascii_uppercase[: len(searches)]:
        table.add_column(letter, overflow="fold")
    return table


def _figures(found: Mapping[str, Any]) -> Table:
    searches = found["searches"]
    table = _table(searches, "")
    rows: list[tuple[str, Iterable[RenderableType]]] = [
        ("search", (each["search_id"] for each in searches)),
        ("state", (state_text(each["state"]) for each in searches)),
        ("dataset", (Text(each["dataset"]) for each in searches)),
        ("labels", (Text(labels_text(each["labels"])) for each in searches)),
        ("test top-1", (pct(each["test_top1_pct"]) for each in searches)),
        ("95% interval", map(_interval, searches)),
        ("test images", (_number(each["test_images"]) for each in searches)),
        ("MACs", (f"{short_macs(each['macs'])} of {short_macs(each['flops_budget'])}" for each in searches)),
        ("parameters", (short_macs(each["params"]) for each in searches)),
        ("pixels", (_number(each["resolution"]) for each in searches)),
        ("activations", (_kib(each["peak_activation_bytes"]) for each in searches)),
        *((f"{form} file", [_kib(each["file_bytes"].get(form)) for each in searches]) for form in _forms(searches)),
        *_latencies(found),
        ("search time", (short_time(each["search_s"]) for each in searches)),
        ("CPU time", (short_time(each["compute_s"]) for each in searches)),
    ]
    for name, cells in rows:
        shown = list(cells)
        if name != "labels" or any(str(cell) for cell in shown):
            table.add_row(Text(name, style="dim"), *shown)
    return table


def _latencies(found: Mapping[str, Any]) -> list[tuple[str, list[RenderableType]]]:
    """Medians for one image; without the form in which they were not measured."""
    searches = found["searches"]
    timed = [search["latency_ms"] for search in searches]
    forms = list(dict.fromkeys(form for times in timed for form in times))
    is_doubtful = not found["latencies_comparable"] and sum(map(bool, timed)) > 1
    note = " (other machines)" if is_doubtful else ""
    return [
        (f"{form}, 1 image{note}", [_milliseconds(times.get(form, {}).get("1")) for times in timed]) for form in forms
    ]


def _forms(searches: Searches) -> list[str]:
    """The formats of files, those of all that any has."""
    return list(dict.fromkeys(form for search in searches for form in search["file_bytes"]))


def _interval(search: Mapping[str, Any]) -> str:
    if search["test_images"] is None:
        return "no result yet"
    return f"{pct(search['test_top1_low_pct'], 1)} to {pct(search['test_top1_high_pct'], 1)}"


def _kib(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else f"{size_bytes / 1024:,.0f} KiB"


def _milliseconds(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:.3f} ms"


def _number(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _accuracy_lines(found: Mapping[str, Any]) -> list[Text]:
    """Of each pair, which is ahead, and whether that may be chance; or why they cannot be compared."""
    letters = {search["search_id"]: letter for search, letter in zip(found["searches"], ascii_uppercase, strict=False)}
    lines = [Text(difference_text(each, letters)) for each in _pairs(found)]
    lines += [Text(f"Not comparable: {reason}.", style="yellow") for reason in found["not_comparable"]]
    if not lines:
        lines.append(Text("Fewer than two results yet, so there is nothing to compare.", style="dim"))
    elif any(not each["paired"] for each in _pairs(found)):
        note = "Errors are upper limits: it is not stored of all results which images they get right."
        lines.append(Text(note, style="dim"))
    return lines


def _pairs(found: Mapping[str, Any]) -> Searches:
    pairs: Searches = found["accuracy_differences"]
    return pairs


def difference_text(difference: Mapping[str, Any], letters: Mapping[str, str]) -> str:
    """Which of two results is ahead, and whether that may be chance; `letters` by the id of a search."""
    one, other = letters[difference["search_id"]], letters[difference["other_id"]]
    points = difference["points"]
    if points < 0:
        one, other, points = other, one, -points
    ahead = f"{one} is {points:.2f} points ahead of {other}" if points else f"{one} and {other} are equal"
    judged = "may be chance" if difference["may_be_chance"] else "more than chance"
    p = "p < 0.001" if difference["chance"] < _LEAST_SHOWN else f"p = {difference['chance']:.2g}"
    return f"{ahead} (standard error {difference['error_points']:.2f}, {p}): {judged}"


def _settings(searches: Searches, settings: Searches) -> RenderableType:
    if not settings:
        return Text("none: the settings are the same")
    table = _table(searches, "")
    for setting in settings:
        table.add_row(Text(setting["path"], style="dim"), *(Text(_value(value)) for value in setting["values"]))
    return table


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _layers(searches: Searches, layers: Searches) -> Table:
    """From input to output; places that are not the same in all networks are marked."""
    table = _table(searches, "", "")
    for place in layers:
        style = "" if place["equal"] else "bold"
        mark = Text("" if place["equal"] else "≠", style="bold yellow")
        table.add_row(mark, place["place"], *(_layer(layer) for layer in place["layers"]), style=style)
    return table


def _layer(layer: Mapping[str, Any] | None) -> str:
    if layer is None:
        return "-"
    words = re.sub(r"^(?:(?:ir|ds)_r1|cn)_", "", layer["notation"]).replace(" | ", " ").replace("_", " ")
    return f"{words}, {short_macs(layer['macs'])}"


def _classes(searches: Searches, classes: Searches) -> list[RenderableType]:
    """The classes in which the results differ most."""
    differing = sorted((each for each in classes if _spread(each) > 0), key=_spread, reverse=True)
    if not differing:
        return [Text("All results recognise as many images of every class.")]
    table = _table(searches, "class", "images")
    for each in differing[:_SHOWN_CLASSES]:
        recalls = (pct(result and result["recall_pct"], 1) for result in each["results"])
        table.add_row(Text(each["name"]), f"{each['test_images']:,}", *recalls)
    more = len(differing) - _SHOWN_CLASSES
    return [table, *([Text(f"and {counted(more, 'class')} more: --json", style="dim")] if more > 0 else [])]


def _spread(of_class: Mapping[str, Any]) -> int:
    """By how many images the best and the worst result differ."""
    correct = [result["correct"] for result in of_class["results"] if result is not None]
    return int(max(correct) - min(correct))
