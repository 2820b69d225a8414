"""Webhooks by both clients, on a running API with a sender and a receiver."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Iterator

import httpx
import pytest

from autonl import Refused, WaitTimeout, webhook_operations
from store.settings import Settings
from store.stores import Stores
from tests.autonl.conftest import Caller
from tests.store.sample_rows import queue_search
from tests.worker.webhooks.receiver import Receiver, answer, receiving
from worker.webhooks.call import Caller as WebhookCaller
from worker.webhooks.sender import Sender


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_loopback": True, "webhook_poll_s": 0.05})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(tls=False) as opened:
        yield opened


@contextlib.contextmanager
def sending(stores: Stores) -> Iterator[None]:
    """A sender that runs."""
    stopping = threading.Event()
    caller = WebhookCaller(lambda *_: ["127.0.0.1"], ssl.create_default_context(), loopback=True)
    with contextlib.closing(Sender(stores, caller)) as sender:
        thread = threading.Thread(target=sender.run, args=(stopping,))
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()


def test_a_webhook_is_added_listed_changed_rotated_and_deleted(
    caller: Caller, service: httpx.Client, receiver: Receiver
) -> None:
    url, target = str(service.base_url), f"http://localhost:{receiver.port}/in"
    added = caller.run(url, webhook_operations.add_webhook(target, ["succeeded"], "a bot"))
    assert (added.url, added.kinds, added.description, added.state) == (target, ("succeeded",), "a bot", "active")
    assert added.secret.startswith("whsec_")
    assert added.secret not in repr(added)
    shown = caller.run(url, webhook_operations.webhook(added.id))
    assert caller.run(url, webhook_operations.webhooks()) == (shown,)
    assert "secret" not in shown.document
    paused = caller.run(url, webhook_operations.change_webhook(added.id, kinds=["failed"], active=False))
    assert (paused.kinds, paused.state, paused.description) == (("failed",), "paused", "a bot")
    assert caller.run(url, webhook_operations.change_webhook(added.id, description="")).description == ""
    assert caller.run(url, webhook_operations.rotate_webhook_secret(added.id)).secret != added.secret
    caller.run(url, webhook_operations.delete_webhook(added.id))
    with pytest.raises(Refused, match="no webhook"):
        caller.run(url, webhook_operations.webhook(added.id))


def test_by_default_the_ends_of_searches_are_sent_and_a_private_address_is_refused(
    caller: Caller, service: httpx.Client
) -> None:
    url = str(service.base_url)
    assert caller.run(url, webhook_operations.add_webhook("https://hooks.example/in")).kinds == (
        "cancelled",
        "failed",
        "succeeded",
    )
    with pytest.raises(Refused) as refused:
        caller.run(url, webhook_operations.add_webhook("https://10.0.0.1/in"))
    assert [one.pointer for one in refused.value.errors] == ["/url"]


def test_a_test_call_is_waited_for_and_says_what_became_of_it(
    caller: Caller, service: httpx.Client, receiver: Receiver, stores: Stores
) -> None:
    url = str(service.base_url)
    added = caller.run(url, webhook_operations.add_webhook(f"http://localhost:{receiver.port}/in"))
    waiting = caller.run(url, webhook_operations.test_webhook(added.id))
    assert (waiting.state, waiting.tries, waiting.kind, waiting.search_id) == ("pending", 0, "webhook.test", None)
    with pytest.raises(WaitTimeout, match=r"has not been tried after 0\.2 s"):  # no sender runs
        caller.run(url, webhook_operations.wait_for_delivery(added.id, waiting.id, timeout_s=0.2))
    receiver.behaviour = answer(503, b"later")
    with sending(stores):
        tried = caller.run(url, webhook_operations.wait_for_delivery(added.id, waiting.id))
        assert (tried.state, tried.status, tried.excerpt) == ("failed", 503, "later")
        receiver.behaviour = answer(204)
        again = caller.run(url, webhook_operations.resend_delivery(added.id, waiting.id))
        assert (again.id, again.state) == (waiting.id, "pending")
        assert caller.run(url, webhook_operations.wait_for_delivery(added.id, waiting.id)).state == "delivered"


def test_all_pages_of_what_was_sent_are_shown(
    caller: Caller, service: httpx.Client, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_operations, "_PAGE_SIZE", 2)
    url = str(service.base_url)
    added = caller.run(url, webhook_operations.add_webhook("https://hooks.example/in", ["created"]))
    searches = [queue_search(stores) for _ in range(5)]
    while stores.webhook_feed.read():
        pass
    shown = caller.collect(url, webhook_operations.deliveries(added.id))
    assert sorted(str(one.search_id) for one in shown) == sorted(searches)
    assert len({one.id for one in shown}) == 5
    assert caller.collect(url, webhook_operations.deliveries(added.id, "delivered")) == []
    assert caller.run(url, webhook_operations.delivery(added.id, shown[0].id)) == shown[0]
