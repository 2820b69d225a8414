"""The headers of a call by Standard Webhooks: id, time and signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata

from standardwebhooks import Webhook


def signed_headers(message_id: str, body: bytes, secrets: Sequence[str], at: datetime) -> Mapping[str, str]:
    """The headers of one try, signed with every secret: while one is replaced, receivers know one of two."""
    moment = at.astimezone(UTC)  # the library takes the time as written for UTC, whatever its zone
    signatures = [Webhook(secret).sign(message_id, moment, body.decode()) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": f"AutoNL-Webhooks/{metadata.version('autonl')}",
        "Connection": "close",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
