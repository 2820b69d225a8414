"""What a client can do about webhooks, as in `operations.py`: methods of `Client` and `AsyncClient`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from autonl import documents
from autonl.errors import WaitTimeout
from autonl.models.reading import read
from autonl.models.webhooks import Delivery, Webhook, WebhookSecret
from autonl.retries import patiently
from autonl.steps import Call, Iteration, Pause, Show

PATIENCE_S = 60.0  # how long waiting goes on while the service does not respond
_POLL_S = 0.5
_PAGE_SIZE = 200


def add_webhook(url: str, kinds: Sequence[str] = (), description: str = "") -> Call[WebhookSecret]:
    """Have events sent to a URL from now on. Keep the `secret` of the result: it is not shown again.

    Args:
        url: https URL with a public address.
        kinds: of events to send; none: those that end a search.
    Raises:
        Refused: the URL or a kind is wrong, or there are too many webhooks.
    """
    return read(WebhookSecret, (yield from documents.add_webhook(url, kinds, description)))


def webhook(webhook_id: str) -> Call[Webhook]:
    """A webhook, without its secret."""
    return read(Webhook, (yield from documents.webhook(webhook_id)))


def webhooks() -> Call[tuple[Webhook, ...]]:
    """All webhooks, the oldest first."""
    return tuple(read(Webhook, one) for one in (yield from documents.webhooks())["webhooks"])


def change_webhook(
    webhook_id: str,
    *,
    url: str | None = None,
    kinds: Sequence[str] | None = None,
    description: str | None = None,
    active: bool | None = None,
) -> Call[Webhook]:
    """Change a webhook; None leaves a value as it is.

    Args:
        active: False pauses it; True sends what waits, also if it is disabled.
    """
    asked = {"url": url, "kinds": None if kinds is None else list(kinds), "description": description, "active": active}
    changes = {name: value for name, value in asked.items() if value is not None}
    return read(Webhook, (yield from documents.change_webhook(webhook_id, **changes)))


def delete_webhook(webhook_id: str) -> Call[None]:
    """Delete a webhook with its messages, also those that wait."""
    return documents.delete_webhook(webhook_id)


def rotate_webhook_secret(webhook_id: str) -> Call[WebhookSecret]:
    """Give a webhook a new secret. For a day, messages are signed with the old one as well."""
    return read(WebhookSecret, (yield from documents.rotate_webhook(webhook_id)))


def test_webhook(webhook_id: str) -> Call[Delivery]:
    """Send a test call, once, also to a paused or disabled webhook. `wait_for_delivery` says what became of it."""
    return read(Delivery, (yield from documents.test_webhook(webhook_id)))


def deliveries(webhook_id: str, state: str | None = None) -> Iteration[Delivery]:
    """Iterate over what was sent and what waits, newest first; further pages are requested as needed."""
    before: str | None = None
    while True:
        page = yield from documents.deliveries(webhook_id, state=state, before=before, page_size=_PAGE_SIZE)
        for one in page["deliveries"]:
            yield Show(read(Delivery, one))
        if (before := page["next_before"]) is None:
            return


def delivery(webhook_id: str, delivery_id: str) -> Call[Delivery]:
    """A message, and the last try to send it."""
    return read(Delivery, (yield from documents.delivery(webhook_id, delivery_id)))


def resend_delivery(webhook_id: str, delivery_id: str) -> Call[Delivery]:
    """Send a message again, under the same id, with as many tries as a new one."""
    return read(Delivery, (yield from documents.resend(webhook_id, delivery_id)))


def wait_for_delivery(webhook_id: str, delivery_id: str, *, timeout_s: float = 30.0) -> Call[Delivery]:
    """Wait until a message was tried, or has ended without; `state` and `problem` say what became of it.

    Raises:
        WaitTimeout: it has not been tried within `timeout_s`: the webhook is not active, or no sender runs.
    """
    began = time.monotonic()
    while True:
        message = read(
            Delivery, (yield from patiently(partial(documents.delivery, webhook_id, delivery_id), PATIENCE_S))
        )
        if message.tries or message.state != "pending":
            return message
        left_s = timeout_s - (time.monotonic() - began)
        if left_s <= 0:
            raise WaitTimeout(f"{delivery_id} has not been tried after {timeout_s:g} s", ["it goes on; wait again"])
        yield Pause(min(_POLL_S, left_s))
