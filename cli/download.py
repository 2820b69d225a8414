"""Resumable downloads: a dropped connection is retried within a command, a killed command is continued by the next one.

Received bytes are kept next to the target in `.<name>.<sha256>.part`. The name contains the announced SHA-256, so a
partial file is never continued with different content. A lock on it excludes concurrent commands. The target appears
only once its SHA-256 has been verified.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPResponse
from io import BufferedRandom
from pathlib import Path

from cli.errors import ApiError, CommandError, refused
from cli.transport import Http, TransportError, blocks, is_error, read

MAX_IDLE_TRIES = 5  # consecutive attempts that receive not a single byte
_BACKOFF_S = 0.4  # after the first of them; doubles each time

OnProgress = Callable[[int, int], None]  # (received bytes, total bytes)


@dataclass(frozen=True)
class _Announced:
    """What the service announces about a file before it sends it."""

    etag: str
    sha256: str
    size_bytes: int


def fetch(http: Http, path: str, target: Path, on_progress: OnProgress = lambda received, total: None) -> str:
    """Download `path` to `target`, complete and verified or not at all; returns the file's SHA-256.

    Raises:
        ApiError: the service refused or does not respond, or the received bytes differ from what it announced.
        CommandError: another command is downloading the same file to the same place.
        TransportError: the connection failed repeatedly; received bytes are kept for the next command.
    """
    announced = _announcement(http, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{announced.sha256[:16]}.part")
    with _locked(part) as file:
        _fill(http, path, file, announced, on_progress)
        sha256 = _sha256_of(file)
        if sha256 != announced.sha256:
            part.unlink()
            lines = [f"announced SHA-256 {announced.sha256}", f"received  SHA-256 {sha256}", "run the command again"]
            raise ApiError("The download is corrupted", lines)
        os.fsync(file.fileno())
        part.replace(target)
    return sha256


def _announcement(http: Http, path: str) -> _Announced:
    """Ask for the size and digest of the file at `path`."""
    with http.open("HEAD", path) as response:
        read(response)
    if is_error(response):
        with http.open("GET", path) as response:  # a response to HEAD has no body to take the reason from
            raise refused(f"{http.url}{path}", response.status, read(response))
    digests = dict(part.strip().partition("=")[::2] for part in response.headers.get("Repr-Digest", "").split(","))
    try:
        sha256 = base64.b64decode(digests["sha-256"].strip(":"), validate=True).hex()
        return _Announced(_header(response, "ETag"), sha256, int(_header(response, "Content-Length")))
    except (KeyError, ValueError) as error:
        lines = [f"{error!r}", "does a proxy strip response headers?"]
        raise ApiError(f"{http.url}{path} sent no usable ETag, digest or length", lines) from error


def _header(response: HTTPResponse, name: str) -> str:
    """Raises KeyError."""
    value = response.headers[name]
    if value is None:
        raise KeyError(name)
    return str(value)


@contextmanager
def _locked(part: Path) -> Iterator[BufferedRandom]:
    """Open the partial file, locked for this process."""
    while True:
        with part.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise CommandError("Another command is downloading this file", [f"it is writing to {part}"]) from error
            if _is_at(file, part):
                yield file
                return


def _is_at(file: BufferedRandom, path: Path) -> bool:
    """Whether `file` is still at `path`: the previous holder of the lock may have finished and renamed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _size_of(file: BufferedRandom) -> int:
    return os.fstat(file.fileno()).st_size


def _sha256_of(file: BufferedRandom) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _fill(http: Http, path: str, file: BufferedRandom, announced: _Announced, on_progress: OnProgress) -> None:
    """Request missing bytes until the file is complete; reconnects as long as attempts make progress."""
    idle_tries = 0
    while (received := _size_of(file)) != announced.size_bytes:
        if received > announced.size_bytes:  # something else wrote to it
            file.truncate(0)
            continue
        on_progress(received, announced.size_bytes)
        try:
            _receive(http, path, file, announced, on_progress)
        except TransportError:
            idle_tries = idle_tries + 1 if _size_of(file) <= received else 0
            if idle_tries >= MAX_IDLE_TRIES:
                raise
            time.sleep(_BACKOFF_S * 2 ** max(0, idle_tries - 1))
    on_progress(announced.size_bytes, announced.size_bytes)


def _receive(http: Http, path: str, file: BufferedRandom, announced: _Announced, on_progress: OnProgress) -> None:
    """Request the bytes missing from `file`. Thanks to If-Range, a file that has changed is sent in full instead."""
    received = _size_of(file)
    headers = {"Range": f"bytes={received}-", "If-Range": announced.etag, "Accept-Encoding": "identity"}
    with http.open("GET", path, headers=headers) as response:
        if is_error(response):
            raise refused(f"{http.url}{path}", response.status, read(response))
        if response.headers.get("ETag") != announced.etag:
            raise ApiError("The file changed on the service during the download", ["run the command again"])
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            file.truncate(0)
            received = 0
        try:
            for block in blocks(response):
                file.write(block)
                received += len(block)
                on_progress(received, announced.size_bytes)
        finally:
            file.flush()
