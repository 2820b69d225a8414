"""Senders as processes: kill -9 in the middle of a call, two side by side, receivers that are slow or down."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from autonl_core.host.interpreter import module_command
from store.settings import Settings
from store.stores import Stores
from store.webhooks.registry import WebhookChange
from tests.servers import PostgresServer, free_port, migrated_sqlite, wait_for
from tests.store.sample_rows import queue_search
from tests.store.webhooks.hooks import add_webhook, end_leases
from tests.worker.webhooks.receiver import NAME, Receiver, answer, late, receiving, trusting
from worker.webhooks.call import Caller
from worker.webhooks.sender import Sender

__all__ = ["migrated_sqlite"]

PAIR = ("created", "cancelled")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        target = tmp_path / "autonl.db"
        target.write_bytes(request.getfixturevalue("migrated_sqlite").read_bytes())
        return f"sqlite:///{target}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.emptied_database()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Loopback receivers, and short intervals."""
    return Settings(data_dir=tmp_path, database_url=database_url, webhook_poll_s=0.05, webhook_loopback=True)


@contextlib.contextmanager
def sending_process(settings: Settings, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m worker.webhooks`, killed at the end."""
    process = subprocess.Popen(module_command("worker.webhooks"), env=settings.environment() | environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def cancelled_search(stores: Stores) -> str:
    """A search with the events `created` and `cancelled`; its id."""
    search_id = queue_search(stores)
    stores.control.cancel(search_id)
    return search_id


def seqs_by_search(receiver: Receiver) -> dict[str, list[int]]:
    """The numbers of the events that arrived, in the order of their first arrival."""
    found: dict[str, list[int]] = {}
    for request in receiver.received:
        data = json.loads(request.body)["data"]
        seqs = found.setdefault(data["search_id"], [])
        if data["seq"] not in seqs:
            seqs.append(data["seq"])
    return found


@pytest.mark.long
def test_a_sender_that_is_killed_during_a_call_loses_nothing(stores: Stores, settings: Settings) -> None:
    with receiving(tls=False) as receiver:
        hanging = threading.Event()
        receiver.behaviour = lambda handler: (hanging.wait(60), answer(204)(handler))[1]
        add_webhook(stores, *PAIR, url=f"http://localhost:{receiver.port}/")
        searches = [cancelled_search(stores) for _ in range(3)]
        with sending_process(settings) as first:
            wait_for(lambda: receiver.received, "the first call is being made")
            first.kill()
            first.wait()
        receiver.behaviour = answer(204)
        hanging.set()
        end_leases(stores)
        with sending_process(settings):
            wait_for(lambda: len(receiver.received) >= 7, "the rest is sent")
        arrived = Counter(request.message_id for request in receiver.received)
        assert sorted(arrived.values()) == [1, 1, 1, 1, 1, 2]  # only the call that was interrupted is repeated
        assert receiver.received[0].message_id == receiver.received[1].message_id
        assert receiver.received[0].body == receiver.received[1].body
        assert seqs_by_search(receiver) == {search_id: [1, 2] for search_id in searches}


@pytest.mark.long
@pytest.mark.timeout(180)
def test_senders_killed_again_and_again_send_every_event(stores: Stores, settings: Settings) -> None:
    """While events are written: those between the log and the messages, and between a call and its result."""
    with receiving(tls=False) as receiver:
        add_webhook(stores, *PAIR, url=f"http://localhost:{receiver.port}/")
        searches: list[str] = []
        for _ in range(4):
            with sending_process(settings) as process:
                began = len(receiver.received)
                searches += [cancelled_search(stores) for _ in range(5)]
                wait_for(lambda began=began: len(receiver.received) > began, "it sends")  # type: ignore[misc]
                process.kill()
            end_leases(stores)
        with sending_process(settings):
            wait_for(lambda: all(seqs_by_search(receiver).get(each) == [1, 2] for each in searches), "all is sent", 60)
        arrived = Counter(request.message_id for request in receiver.received)
        assert len(arrived) == 40
        assert sum(arrived.values()) - 40 <= 4  # one call in progress for each kill


@pytest.mark.long
@pytest.mark.timeout(180)
def test_two_senders_side_by_side_send_each_event_once(stores: Stores, settings: Settings) -> None:
    with contextlib.ExitStack() as stack:
        receivers = [stack.enter_context(receiving(tls=False)) for _ in range(3)]
        for receiver in receivers:
            add_webhook(stores, *PAIR, url=f"http://localhost:{receiver.port}/")
        for _ in range(2):
            stack.enter_context(sending_process(settings))
        searches = [cancelled_search(stores) for _ in range(15)]
        wait_for(lambda: all(len(receiver.received) >= 30 for receiver in receivers), "all is sent", 60)
        time.sleep(0.5)  # for what should not come
        for receiver in receivers:
            assert len({request.message_id for request in receiver.received}) == len(receiver.received) == 30
            assert seqs_by_search(receiver) == {search_id: [1, 2] for search_id in searches}


@pytest.mark.long
def test_a_sender_finishes_its_calls_when_it_is_asked_to_stop(stores: Stores, settings: Settings) -> None:
    with receiving(tls=False) as receiver:
        receiver.behaviour = late(1)
        webhook_id = add_webhook(stores, url=f"http://localhost:{receiver.port}/")
        cancelled_search(stores)
        with sending_process(settings) as process:
            wait_for(lambda: receiver.received, "the call is being made")
            process.terminate()
            assert process.wait(10) == 0
        (row,) = stores.webhooks.deliveries(webhook_id)
        assert (row.state, row.tries) == ("delivered", 1)


@pytest.mark.long
def test_the_process_verifies_certificates_by_the_authorities_of_the_system(
    stores: Stores, settings: Settings, tmp_path: Path
) -> None:
    with receiving(tls=True, name="localhost") as receiver:
        assert receiver.authority is not None
        receiver.authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        webhook_id = add_webhook(stores, url=f"https://localhost:{receiver.port}/")
        cancelled_search(stores)
        with sending_process(settings):
            wait_for(lambda: stores.webhooks.deliveries(webhook_id)[:1] and _tries(stores, webhook_id), "it is tried")
        assert "certificate is not valid" in str(stores.webhooks.deliveries(webhook_id)[0].problem)
        assert receiver.received == []
        stores.webhooks.resend(webhook_id, stores.webhooks.deliveries(webhook_id)[0].id)
        with sending_process(settings, SSL_CERT_FILE=str(tmp_path / "authority.pem")):
            wait_for(lambda: receiver.received, "it arrives")


def _tries(stores: Stores, webhook_id: str) -> int:
    return stores.webhooks.deliveries(webhook_id)[0].tries


@contextlib.contextmanager
def sending_thread(stores: Stores, caller: Caller) -> Iterator[Sender]:
    """A sender in this process."""
    stopping = threading.Event()
    with contextlib.closing(Sender(stores, caller)) as sender:
        thread = threading.Thread(target=sender.run, args=(stopping,))
        thread.start()
        try:
            yield sender
        finally:
            stopping.set()
            thread.join()


@pytest.mark.long
def test_a_slow_receiver_does_not_hold_back_others(stores: Stores) -> None:
    with receiving(tls=True) as slow, receiving(tls=True) as quick:
        slow.behaviour = late(1)
        tls = trusting(slow)
        assert quick.authority is not None
        quick.authority.configure_trust(tls)
        for receiver in (slow, quick):
            add_webhook(stores, *PAIR, url=f"https://{NAME}:{receiver.port}/")

        def resolve(_host: str, _port: int) -> Sequence[str]:
            return ["127.0.0.1"]

        with sending_thread(stores, Caller(resolve, tls, loopback=True)):
            searches = [cancelled_search(stores) for _ in range(5)]
            wait_for(lambda: len(quick.received) == 10, "the quick one has everything", 8)
            assert len(slow.received) < 10
            wait_for(lambda: len(slow.received) == 10, "the slow one gets everything", 40)
        assert seqs_by_search(slow) == {search_id: [1, 2] for search_id in searches}


@pytest.mark.long
def test_a_receiver_that_comes_back_gets_what_it_missed(stores: Stores) -> None:
    """Nothing listens on its port; later something does. An hour of that is in tests/store, with a moved clock."""
    webhook_id = add_webhook(stores, *PAIR, url=f"http://localhost:{free_port()}/")
    with sending_thread(stores, Caller(lambda *_: ["127.0.0.1"], ssl.create_default_context(), loopback=True)):
        search_id = cancelled_search(stores)
        wait_for(lambda: stores.webhooks.get(webhook_id).webhook.failures == 1, "the first call fails")
        assert stores.webhooks.get(webhook_id).waiting == 2
        with receiving(tls=False) as receiver:
            stores.webhooks.change(webhook_id, WebhookChange(url=f"http://localhost:{receiver.port}/"))
            wait_for(lambda: len(receiver.received) == 2, "the second try, after 4 to 6 s, and the rest")
        assert seqs_by_search(receiver) == {search_id: [1, 2]}


def test_url_and_body_stay_out_of_the_log(stores: Stores, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    webhook_id = add_webhook(stores, url=f"http://localhost:{free_port()}/secret-token")
    with sending_thread(stores, Caller(lambda *_: ["127.0.0.1"], ssl.create_default_context(), loopback=True)):
        cancelled_search(stores)
        wait_for(lambda: stores.webhooks.get(webhook_id).webhook.failures == 1, "the call fails")
    assert webhook_id in caplog.text
    assert "refused" in caplog.text
    assert "secret-token" not in caplog.text
