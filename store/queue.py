"""The notifier: tells workers that something is queued. The only file with queue and task names.

A ring carries no content, and losing, doubling or reordering rings costs seconds, never a search: the rows are the
truth, and the sweeper rings again.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from store.errors import BrokerUnreachable

QUEUE_NAME = "searches"
TASK_NAME = "autonl.run_searches"
MAX_OUTSTANDING = 64  # rings waiting in the broker; more would tell the workers nothing new

TRANSPORT_OPTIONS: dict[str, Any] = {
    "visibility_timeout": 86400,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
_PUBLISH_OPTIONS = TRANSPORT_OPTIONS | {"socket_timeout": 2, "socket_connect_timeout": 2}

log = logging.getLogger(__name__)


class WorkerNotifier:
    """Rings from a thread of its own, so that a dead or silent broker never holds up a request or a sweep."""

    def __init__(self, broker_url: str) -> None:
        self._broker_url = broker_url
        self._wanted = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def notify(self, times: int = 1) -> None:
        """Ask for rings, one per worker slot that should look; returns at once. Failures are logged, not raised."""
        with self._changed:
            self._wanted = min(self._wanted + times, MAX_OUTSTANDING)
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._serve, name="notifier", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self, timeout_s: float = 5) -> None:
        """Send what was asked for, waiting at most `timeout_s`, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _serve(self) -> None:
        app = Celery("autonl-notifier", broker=self._broker_url)
        app.conf.update(broker_transport_options=_PUBLISH_OPTIONS, task_ignore_result=True, task_publish_retry=False)
        while (times := self._next()) > 0:
            try:
                _publish(app, times)
            except (OperationalError, redis.RedisError, OSError) as error:
                log.warning("the broker did not take %d ring(s): %s; the sweeper will ring again", times, error)
        app.close()

    def _next(self) -> int:
        """Wait until rings are wanted and take them all; 0 when closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted > 0 or self._closing)
            times, self._wanted = self._wanted, 0
            return times


def check_broker(broker_url: str, timeout_s: float = 1) -> None:
    """Ask the broker for a sign of life. Raises BrokerUnreachable."""
    try:
        with redis.Redis.from_url(
            broker_url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=None
        ) as r:
            r.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        raise BrokerUnreachable(f"the broker does not answer within {timeout_s:g} s: {error}") from error


def _publish(app: Celery, times: int) -> None:
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=2)
        with connection.channel() as channel:
            outstanding = channel.queue_declare(queue=QUEUE_NAME, durable=True).message_count
            for _ in range(min(times, MAX_OUTSTANDING - outstanding)):
                app.send_task(TASK_NAME, queue=QUEUE_NAME, connection=connection, retry=False, ignore_result=True)
