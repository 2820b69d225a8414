"""The notifier: wakes workers when a search is queued. The only module that names the queue and its task.

A notification carries no content. Losing, repeating or reordering notifications costs seconds, never a search: the rows
decide what runs, and the sweeper notifies again.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from store.errors import BrokerUnreachable

if TYPE_CHECKING:
    from celery import Celery

QUEUE_NAME = "searches"  # of those that any worker may run; each other resource class has a queue of its own
TASK_NAME = "autonl.run_searches"
MAX_OUTSTANDING = 64  # notifications waiting in the broker; more of them would wake no more workers

TRANSPORT_OPTIONS: dict[str, Any] = {
    "visibility_timeout": 86400,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
_PUBLISH_OPTIONS = TRANSPORT_OPTIONS | {"socket_timeout": 2, "socket_connect_timeout": 2}

log = logging.getLogger(__name__)


def queue_of(resource_class: str) -> str:
    """The queue of notifications of searches of a resource class."""
    return QUEUE_NAME if resource_class == "any" else f"{QUEUE_NAME}.{resource_class}"


class WorkerNotifier:
    """Publishes from a thread of its own, so that a dead or silent broker never delays a request or a sweep.

    The thread, and with it Celery, is started by the first notification, so that a sweeper that never needs one stays
    small; or by `start`.
    """

    def __init__(self, broker_url: str) -> None:
        self._broker_url = broker_url
        self._wanted = Counter[str]()  # by queue
        self._closing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def notify(self, times: int = 1, resource_class: str = "any") -> None:
        """Request notifications, one per worker slot to wake. Returns at once; failures are logged, not raised."""
        queue = queue_of(resource_class)
        with self._changed:
            self._wanted[queue] = min(self._wanted[queue] + times, MAX_OUTSTANDING)
            self._changed.notify()
        self.start()

    def start(self) -> None:
        """Be ready, so that the first notification is not delayed."""
        with self._changed:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._serve, name="notifier", daemon=True)
                self._thread.start()

    def close(self, timeout_s: float = 5) -> None:
        """Send what was requested, waiting at most `timeout_s`, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _serve(self) -> None:
        import redis
        from celery import Celery
        from kombu.exceptions import OperationalError

        app = Celery("autonl-notifier", broker=self._broker_url)
        app.conf.update(broker_transport_options=_PUBLISH_OPTIONS, task_ignore_result=True, task_publish_retry=False)
        while wanted := self._next():
            try:
                _publish(app, wanted)
            except (OperationalError, redis.RedisError, OSError) as error:
                times = wanted.total()
                log.warning(
                    "notifications that the broker did not accept: %d (%s); the sweeper will notify again", times, error
                )
        app.close()

    def _next(self) -> Counter[str]:
        """Wait until notifications are requested and take them all, by queue; none when closing."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._wanted) or self._closing)
            wanted, self._wanted = self._wanted, Counter()
            return wanted


def check_broker(broker_url: str, timeout_s: float = 1) -> None:
    """Ping the broker. Raises BrokerUnreachable."""
    import redis

    try:
        with redis.Redis.from_url(
            broker_url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=None
        ) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        raise BrokerUnreachable(f"the broker did not respond within {timeout_s:g} s: {error}") from error


def _publish(app: Celery, wanted: Mapping[str, int]) -> None:
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=2)
        with connection.channel() as channel:
            for queue, times in wanted.items():
                outstanding = channel.queue_declare(queue=queue, durable=True).message_count
                for _ in range(min(times, MAX_OUTSTANDING - outstanding)):
                    app.send_task(TASK_NAME, queue=queue, connection=connection, retry=False, ignore_result=True)
