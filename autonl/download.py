"""Resumable downloads: a dropped connection is retried within a call, a killed process is continued by the next call.

Received bytes are kept next to the target in `.<name>.<sha256>.part`. The name contains the announced SHA-256, so a
partial file is never continued with different content. A lock on it excludes concurrent processes. The target appears
only once its SHA-256 has been verified.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from io import BufferedRandom
from pathlib import Path

from autonl.documents import require_ok
from autonl.errors import ConnectionFailed, DownloadFailed, Refused, UnexpectedResponse
from autonl.retries import backoff_s, is_temporary
from autonl.steps import Call, Pause, Reply, Request, open_response, read_block, read_rest, send, work

_AS_STORED = {"Accept-Encoding": "identity"}  # a compressed file has another size and version
_AGAIN = "download it again"
MAX_IDLE_TRIES = 5  # consecutive attempts that receive not a single byte

OnProgress = Callable[[int, int], None]  # (received bytes, total bytes)


@dataclass(frozen=True)
class Announced:
    """What the service announces about a file before it sends it."""

    etag: str
    sha256: str
    size_bytes: int
    name: str  # what the service calls the file; empty: it does not say


def download_file(link: str, target: Path | str | None, on_progress: OnProgress) -> Call[tuple[Path, str]]:
    """Download what a link of the service leads to; returns the file and its SHA-256.

    Continues where an earlier call was interrupted.

    Args:
        target: None: in the current folder, named by the service.
    Raises:
        UnexpectedResponse: the service does not announce size, digest and version of the file.
    and what `fetch` does.
    """
    announced = yield from announcement(link)
    path = Path(target or announced.name or "download")
    return path, (yield from fetch(link, path, announced, on_progress))


def announcement(path: str) -> Call[Announced]:
    """Ask for the size and digest of the file at `path`. Raises Refused with the reason if there is none."""
    reply = yield from send(Request("HEAD", path, headers=_AS_STORED))
    if not reply.ok:  # a response to HEAD has no body to take the reason from
        require_ok((yield from send(Request("GET", path))))
    digests = dict(part.strip().partition("=")[::2] for part in reply.headers.get("repr-digest", "").split(","))
    try:
        sha256 = base64.b64decode(digests["sha-256"].strip(":"), validate=True).hex()
        size_bytes, etag = int(reply.headers["content-length"]), reply.headers["etag"]
    except (KeyError, ValueError) as error:
        lines = [f"{error!r}", "does a proxy strip response headers?"]
        raise UnexpectedResponse(f"{reply.url} sent no usable ETag, digest or length", lines) from error
    name = reply.headers.get("content-disposition", "").partition('filename="')[2].partition('"')[0]
    return Announced(etag, sha256, size_bytes, Path(name).name)


def fetch(path: str, target: Path, announced: Announced, on_progress: OnProgress) -> Call[str]:
    """Download `path` to `target`, complete and verified or not at all; returns the file's SHA-256.

    Raises:
        Refused: the service refused.
        DownloadFailed: the received bytes differ from what was announced, or another process is downloading the same
            file to the same place.
        ConnectionFailed: the connection failed repeatedly; received bytes are kept for the next call.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{announced.sha256[:16]}.part")
    with _locked(part) as file:
        yield from _fill(path, file, announced, on_progress)
        sha256 = yield from work(lambda: _sha256_of(file))
        if sha256 != announced.sha256:
            part.unlink()
            lines = [f"announced SHA-256 {announced.sha256}", f"received  SHA-256 {sha256}", _AGAIN]
            raise DownloadFailed("The download is corrupted", lines)
        yield from work(lambda: os.fsync(file.fileno()))
        part.replace(target)
    return sha256


@contextmanager
def _locked(part: Path) -> Iterator[BufferedRandom]:
    """Open the partial file, locked for this process."""
    while True:
        with part.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lines = [f"it is writing to {part}"]
                raise DownloadFailed("Another command is downloading this file", lines, in_use=True) from error
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


def _fill(path: str, file: BufferedRandom, announced: Announced, on_progress: OnProgress) -> Call[None]:
    """Request missing bytes until the file is complete; reconnects as long as attempts make progress."""
    idle_tries = 0
    while (received := _size_of(file)) != announced.size_bytes:
        if received > announced.size_bytes:  # something else wrote to it
            file.truncate(0)
            continue
        on_progress(received, announced.size_bytes)
        try:
            yield from _receive(path, file, announced, on_progress)
        except (ConnectionFailed, Refused) as error:
            idle_tries = idle_tries + 1 if _size_of(file) <= received else 0
            if idle_tries >= MAX_IDLE_TRIES or not is_temporary(error):
                raise
            yield Pause(max(backoff_s(max(1, idle_tries)), getattr(error, "retry_after_s", None) or 0.0))
    on_progress(announced.size_bytes, announced.size_bytes)


def _receive(path: str, file: BufferedRandom, announced: Announced, on_progress: OnProgress) -> Call[None]:
    """Request the bytes missing from `file`. Thanks to If-Range, a file that has changed is sent in full instead."""
    received = _size_of(file)
    headers = {"Range": f"bytes={received}-", **_AS_STORED}
    reply: Reply = yield from open_response(Request("GET", path, headers=headers | {"If-Range": announced.etag}))
    etag = reply.headers.get("etag")
    if reply.status == HTTPStatus.TEMPORARY_REDIRECT and "location" in reply.headers:
        # To a bucket, which has an entity tag of its own; what it sends is compared with the announced SHA-256.
        elsewhere, etag = reply.headers["location"], announced.etag
        reply = yield from open_response(Request("GET", path, headers=headers, elsewhere=elsewhere))
    if not reply.ok:
        require_ok(replace(reply, body=(yield from read_rest())))
    if etag != announced.etag:
        raise DownloadFailed("The file changed on the service during the download", [_AGAIN])
    if reply.status != HTTPStatus.PARTIAL_CONTENT:
        file.truncate(0)
        received = 0
    try:
        while block := (yield from read_block()):
            file.write(block)
            received += len(block)
            on_progress(received, announced.size_bytes)
    finally:
        file.flush()
