"""`autonl webhooks ...`: have events sent to a URL, test that, and see what was sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from cli.client import Client
from cli.commands import FullHelpGroup
from cli.options import json_option, print_json, stop_on_error, url_option
from cli.render_webhooks import deliveries_table, delivery_line, secret_lines, webhook_facts, webhooks_table

FAILED = 1  # exit code when a call failed
_WAIT_S = 30.0  # for a call; with `autonl up` it begins within a second
_POLL_S = 0.25

webhook_argument = click.argument("webhook_id", metavar="WEBHOOK", help="id of the webhook")


@click.group(cls=FullHelpGroup)
def webhooks() -> None:
    """Add, list, test and delete webhooks, and see what was sent."""


@webhooks.command()
@click.argument("target", metavar="HOOK_URL", help="https URL that is called")
@click.option("--kind", "kinds", multiple=True, help="kind of events to send; repeatable [default: ends of searches]")
@click.option("--description", default="", help="for people")
@json_option
@url_option
@stop_on_error
def add(target: str, kinds: tuple[str, ...], description: str, as_json: bool, url: str) -> None:
    """Have events sent to a URL from now on. Prints the secret, which is not shown again."""
    with Client(url) as client:
        _print_secret(client.add_webhook(target, kinds, description), as_json)


@webhooks.command("list")
@json_option
@url_option
@stop_on_error
def list_webhooks(as_json: bool, url: str) -> None:
    """List webhooks and their state, the oldest first."""
    with Client(url) as client:
        listing = client.webhooks()
    if as_json:
        print_json(listing)
    else:
        Console().print(webhooks_table(listing["webhooks"]))


@webhooks.command()
@webhook_argument
@json_option
@url_option
@stop_on_error
def show(webhook_id: str, as_json: bool, url: str) -> None:
    """Show a webhook: its state, what waits, and why it is disabled."""
    with Client(url) as client:
        _print_webhook(client.webhook(webhook_id), as_json)


@webhooks.command()
@webhook_argument
@json_option
@url_option
@stop_on_error
def pause(webhook_id: str, as_json: bool, url: str) -> None:
    """Stop sending to a webhook; events wait until `resume`."""
    with Client(url) as client:
        _print_webhook(client.change_webhook(webhook_id, active=False), as_json)


@webhooks.command()
@webhook_argument
@json_option
@url_option
@stop_on_error
def resume(webhook_id: str, as_json: bool, url: str) -> None:
    """Send to a paused or disabled webhook again, what waits first."""
    with Client(url) as client:
        _print_webhook(client.change_webhook(webhook_id, active=True), as_json)


@webhooks.command()
@webhook_argument
@url_option
@stop_on_error
def delete(webhook_id: str, url: str) -> None:
    """Delete a webhook with its messages, also those that wait."""
    with Client(url) as client:
        client.delete_webhook(webhook_id)
    Console().print(Text(f"webhook {webhook_id} deleted"))


@webhooks.command()
@webhook_argument
@json_option
@url_option
@stop_on_error
def rotate(webhook_id: str, as_json: bool, url: str) -> None:
    """Give a webhook a new secret. For a day, messages are signed with the old one as well."""
    with Client(url) as client:
        _print_secret(client.rotate_webhook(webhook_id), as_json)


@webhooks.command()
@webhook_argument
@json_option
@url_option
@stop_on_error
def test(webhook_id: str, as_json: bool, url: str) -> None:
    """Send a test call and wait for its result. Exit code 1 if it failed."""
    with Client(url) as client:
        _print_result(_wait(client, webhook_id, client.test_webhook(webhook_id)), as_json)


@webhooks.command()
@webhook_argument
@click.option("--state", type=click.Choice(("pending", "delivered", "failed", "dropped")), help="only these")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="how many, the newest first")
@json_option
@url_option
@stop_on_error
def deliveries(webhook_id: str, state: str | None, limit: int, as_json: bool, url: str) -> None:
    """Show what was sent to a webhook and what waits, newest first."""
    with Client(url) as client:
        listing = client.deliveries(webhook_id, state=state, page_size=limit)
    if as_json:
        print_json(listing)
    else:
        Console().print(deliveries_table(listing["deliveries"]))


@webhooks.command()
@webhook_argument
@click.argument("delivery_id", metavar="DELIVERY", help="id of the message, as in `deliveries`")
@json_option
@url_option
@stop_on_error
def resend(webhook_id: str, delivery_id: str, as_json: bool, url: str) -> None:
    """Send a message again, under the same id, and wait for its result. Exit code 1 if it failed."""
    with Client(url) as client:
        _print_result(_wait(client, webhook_id, client.resend(webhook_id, delivery_id)), as_json)


def _wait(client: Client, webhook_id: str, delivery: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message once it has been tried, or as it is after a while."""
    give_up_at = time.monotonic() + _WAIT_S
    while delivery["state"] == "pending" and delivery["tries"] == 0 and time.monotonic() < give_up_at:
        time.sleep(_POLL_S)
        delivery = client.delivery(webhook_id, delivery["id"])
    return delivery


def _print_webhook(webhook: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(webhook)
    else:
        Console().print(webhook_facts(webhook))


def _print_secret(webhook: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(webhook)
    else:
        Console().print(webhook_facts(webhook))
        Console().print(secret_lines(webhook), soft_wrap=True)


def _print_result(delivery: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(delivery)
    else:
        Console().print(delivery_line(delivery), soft_wrap=True)
    if delivery["state"] != "delivered":
        raise click.exceptions.Exit(FAILED)
