"""Renders webhooks and their messages for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cli.render import fact_table, plain_table


def webhooks_table(listed: Iterable[Mapping[str, Any]]) -> RenderableType:
    """One row per webhook, with its id in full: that is what other commands take."""
    table = plain_table()
    table.add_column("id", no_wrap=True)
    table.add_column("state")
    table.add_column("waiting", justify="right")
    for title in ("kinds", "url"):
        table.add_column(title)
    for webhook in listed:
        words = ", ".join(webhook["kinds"]), Text(webhook["url"])
        table.add_row(webhook["id"], webhook["state"], f"{webhook['waiting']:,}", *words)
    return table


def webhook_facts(webhook: Mapping[str, Any]) -> RenderableType:
    """What a webhook sends, and how it fares."""
    head = Text(webhook["id"], style="bold").append(f": {webhook['state']}", style="")
    facts: list[tuple[str, RenderableType]] = [
        ("url", Text(webhook["url"])),
        ("kinds", Text(", ".join(webhook["kinds"]))),
        ("waiting", Text(f"{webhook['waiting']:,} messages")),
    ]
    for name, key in (("description", "description"), ("disabled because", "disabled_reason")):
        if webhook[key]:
            facts.append((name, Text(webhook[key])))
    if webhook["failures"]:
        facts.append(("failures", Text(f"{webhook['failures']:,} calls in a row; next one at {webhook['hold_until']}")))
    if webhook["succeeded_at"]:
        facts.append(("last success", Text(webhook["succeeded_at"])))
    return Group(head, fact_table(facts))


def secret_lines(webhook: Mapping[str, Any]) -> Text:
    """The secret, on a line of its own to copy."""
    return Text("secret, not shown again; receivers verify signatures with it:\n").append(webhook["secret"])


def deliveries_table(listed: Iterable[Mapping[str, Any]]) -> RenderableType:
    """One row per message."""
    table = plain_table()
    table.add_column("id", no_wrap=True)
    for title in ("kind", "search", "state"):
        table.add_column(title)
    for title in ("tries", "status", "s"):
        table.add_column(title, justify="right")
    for title in ("next try", "problem"):
        table.add_column(title)
    for each in listed:
        duration = "" if each["duration_s"] is None else f"{each['duration_s']:.2f}"
        numbers = str(each["tries"]), "" if each["status"] is None else str(each["status"]), duration
        words = each["next_try_at"] or "", Text(each["problem"] or "")
        table.add_row(each["id"], each["kind"], each["search_id"] or "", each["state"], *numbers, *words)
    return table


def delivery_line(delivery: Mapping[str, Any]) -> Text:
    """What became of one message."""
    text = Text(delivery["id"], style="bold").append(f": {delivery['state']}", style="")
    if delivery["status"] is not None:
        text.append(f", status {delivery['status']} after {delivery['duration_s']:.2f} s", style="")
    if delivery["tries"] == 0:
        text.append(", not tried yet: the webhook is not active, or no sender is running", style="")
    if delivery["problem"]:
        text.append(f"\n  {delivery['problem']}", style="red")
    if delivery["next_try_at"] and delivery["tries"]:
        text.append(f"\n  next try at {delivery['next_try_at']}", style="")
    if delivery["excerpt"]:
        text.append(f"\n  answer: {delivery['excerpt']}", style="dim")
    return text
