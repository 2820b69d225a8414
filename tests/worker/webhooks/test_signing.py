"""Signatures, by the library of receivers and by the specification itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from store.webhooks.registry import new_secret
from worker.webhooks.signing import signed_headers

MOMENT = datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)


@given(st.text(), st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))]))
def test_a_signature_is_that_of_the_specification(text: str, zone: timezone) -> None:
    secret, body = new_secret(), text.encode("utf-8", "ignore")
    headers = signed_headers("msg_1", body, [secret], MOMENT.astimezone(zone))
    assert headers["webhook-timestamp"] == "1769860800"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert 24 <= len(key) <= 64  # as the specification asks for
    digest = hmac.new(key, b"msg_1.1769860800." + body, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_a_receiver_verifies_it_with_either_secret_while_one_is_replaced() -> None:
    new, old, other = new_secret(), new_secret(), new_secret()
    headers = dict(signed_headers("msg_1", b'{"a":1}', [new, old], datetime.now(UTC)))
    assert Webhook(new).verify(b'{"a":1}', headers) == Webhook(old).verify(b'{"a":1}', headers) == {"a": 1}
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(b'{"a":1}', headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(b'{"a":2}', headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(b'{"a":1}', headers | {"webhook-id": "msg_2"})
