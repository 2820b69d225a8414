"""A TCP proxy that misbehaves on demand: resets connections, drops all traffic, cuts replies or loses a single one."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero: closing sends RST instead of FIN


class FaultProxy:
    """Listens on a loopback port and forwards to another one, faithfully until a fault is requested."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._dropping = False
        self._lose: bytes | None = None
        self.lost = threading.Event()  # set once the requested reply has been lost
        self.reply_bytes = 0  # forwarded so far
        self.changes: tuple[bytes, bytes] | None = None  # in requests: what, and into what of the same length
        self._allowed: int | None = None
        self._then = "break"
        self.reached = threading.Event()  # set once the allowed bytes have been forwarded
        threading.Thread(target=self._accept, name=f"proxy-{self.port}", daemon=True).start()

    def cut(self) -> int:
        """Reset all connections, like a firewall that drops its state; returns how many there were."""
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
        """Silently drop all traffic in both directions; new connections are accepted and stay silent."""
        self._dropping = True
        try:
            yield
        finally:
            self._dropping = False
            self.cut()  # bytes are missing from every stream, so none can continue

    def lose_reply(self, containing: bytes) -> None:
        """Drop the next reply that contains these bytes, and close its connection."""
        self.lost.clear()
        self._lose = containing

    def allow(self, reply_bytes: int, *, then: Literal["break", "stall", "break all"] = "break") -> None:
        """Forward this many more bytes of replies, then apply a fault.

        Args:
            reply_bytes: how many bytes to forward.
            then: close this connection only, let it go silent, or close every connection until `allow_all`.
        """
        self.reached.clear()
        self._then = then
        self._allowed = reply_bytes

    def allow_all(self) -> None:
        """Forward everything again."""
        self._allowed = None

    @property
    def allowing(self) -> bool:
        """Whether a limit set by `allow` is still in force."""
        return self._allowed is not None

    def _forwarded(self, chunk: bytes, source: socket.socket) -> bytes | None:
        """The part of a reply's chunk to forward; None: close the connection here. Called with the lock held."""
        if source not in self._open:
            return None  # cut after this chunk was read: it does not arrive, whatever is allowed since
        if self._allowed is None:
            self.reply_bytes += len(chunk)
            return chunk
        allowed = chunk[: self._allowed]
        self._allowed -= len(allowed)
        self.reply_bytes += len(allowed)
        if self._allowed == 0:
            self.reached.set()
        if allowed or self._then == "stall":
            return allowed
        if self._then == "break":
            self._allowed = None
        return None

    def _changed(self, chunk: bytes) -> bytes:
        return chunk if self.changes is None else chunk.replace(*self.changes)

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
                client.close()  # the server is down, and the client sees it
                continue
            with self._lock:
                self._open |= {client, server}
            for source, sink, replies in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, replies), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, replies: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                if self._dropping:
                    continue
                if replies and self._lose is not None and self._lose in chunk:
                    self._lose = None
                    self.lost.set()
                    break
                with self._lock:
                    forwarded = self._forwarded(chunk, source) if replies else self._changed(chunk)
                if forwarded is None:
                    break
                sink.sendall(forwarded)
        with self._lock:
            self._open -= {source, sink}
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
