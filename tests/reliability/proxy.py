"""A TCP proxy that misbehaves on demand: it resets, refuses, swallows everything, or loses a single reply."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends a reset instead of a goodbye


class FaultProxy:
    """Listens on a loopback port and forwards to another one; in good health until told otherwise."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._swallowing = False
        self._lose: bytes | None = None
        self.lost = threading.Event()  # set once the reply that should get lost did
        self.reply_bytes = 0  # that came through
        self._allowed: int | None = None
        self._then = "break"
        self.reached = threading.Event()  # set once the allowed bytes came through
        threading.Thread(target=self._accept, name=f"proxy-{self.port}", daemon=True).start()

    def cut(self) -> int:
        """Reset all connections, as a firewall that forgets them; returns how many there were."""
        with self._lock:
            doomed, self._open = self._open, set()
        for connection in doomed:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        return len(doomed) // 2

    @contextmanager
    def black_hole(self) -> Iterator[None]:
        """Nothing comes through, in either direction, and nobody is told; new connections are made and stay silent."""
        self._swallowing = True
        try:
            yield
        finally:
            self._swallowing = False
            self.cut()  # what was swallowed is missing from every stream: none of them can go on

    def lose_reply(self, containing: bytes) -> None:
        """The next reply with these bytes is lost, and its connection with it."""
        self.lost.clear()
        self._lose = containing

    def allow(self, reply_bytes: int, *, then: Literal["break", "stall", "break all"] = "break") -> None:
        """So many more bytes of replies come through. Then their connection breaks, and the next one is in good health;
        or it goes silent for ever; or all of them break until `allow_all`."""
        self.reached.clear()
        self._then = then
        self._allowed = reply_bytes

    def allow_all(self) -> None:
        self._allowed = None

    @property
    def allowing(self) -> bool:
        """Whether a limit is set and not reached yet."""
        return self._allowed is not None

    def _passes(self, chunk: bytes) -> bytes | None:
        """What comes through of a part of a reply; None: the connection breaks here."""
        if self._allowed is None:
            self.reply_bytes += len(chunk)
            return chunk
        through = chunk[: self._allowed]
        self._allowed -= len(through)
        self.reply_bytes += len(through)
        if self._allowed == 0:
            self.reached.set()
        if through or self._then == "stall":
            return through
        if self._then == "break":
            self._allowed = None
        return None

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()  # the server is down, and so it looks from here
                continue
            with self._lock:
                self._open |= {client, server}
            for source, sink, replies in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, replies), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, replies: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                if self._swallowing:
                    continue
                if replies and self._lose is not None and self._lose in chunk:
                    self._lose = None
                    self.lost.set()
                    break
                passing = self._passes(chunk) if replies else chunk
                if passing is None:
                    break
                sink.sendall(passing)
        with self._lock:
            self._open -= {source, sink}
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
