"""What a webhook is sent about an event. Written once: every try sends the same bytes under the same id."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import Any

from store.json_values import plain_json
from store.models import Event, Search
from store.states import SearchState

PREFIX = "search."  # of the type of an event: `search.succeeded`
TEST_TYPE = "webhook.test"
_RESTING = frozenset((SearchState.SUCCEEDED, SearchState.FAILED, SearchState.CANCELLED, SearchState.PAUSED))


def new_message_id() -> str:
    """An id that nothing else has."""
    return f"msg_{secrets.token_hex(16)}"


def event_message(message_id: str, event: Event, search: Search) -> dict[str, Any]:
    """The message about an event of a search. Its `state` is that which the event led to, if events of its kind do."""
    own = f"/searches/{search.id}"
    data = {
        "search_id": search.id,
        "state": event.kind if event.kind in _RESTING else search.state.value,
        "dataset": search.dataset,
        "seq": event.seq,
        "attempt": event.fence,
        "detail": event.detail,
        "links": {"search": own, "events": f"{own}/events"},
    }
    return _message(message_id, PREFIX + event.kind, event.at, data)


def sample_message(message_id: str, webhook_id: str, at: datetime) -> dict[str, Any]:
    """The message of a test call."""
    own = f"/webhooks/{webhook_id}"
    return _message(message_id, TEST_TYPE, at, {"webhook_id": webhook_id, "links": {"webhook": own}})


def body_of(message: dict[str, Any]) -> bytes:
    """The bytes that are signed and sent: the same for equal messages, whatever a database does to the order."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _message(message_id: str, kind: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    moment = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    # `timestamp` is what Standard Webhooks calls the time of the event.
    message: dict[str, Any] = plain_json(
        {"id": message_id, "type": kind, "created_at": moment, "timestamp": moment, "data": data}
    )
    return message
