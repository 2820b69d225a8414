"""Downloads that go on where they were interrupted: by a broken connection in one command, by a kill in the next.

What arrived lies beside the target in `.<name>.<sha256>.part`, named after the content that the service announces: the
part of another file is never continued. A lock on it keeps two commands apart. The target appears once its SHA-256 is
right, never before.
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
from io import BufferedRandom
from pathlib import Path

import httpx

from cli.errors import ApiError, CommandError, refused

MAX_IDLE_TRIES = 5  # in a row that bring not a single byte
_BACKOFF_S = 0.4  # after the first of them; doubles

OnProgress = Callable[[int, int], None]  # bytes that are here, bytes in all


@dataclass(frozen=True)
class _Announced:
    """What the service says of a file before it sends it."""

    etag: str
    sha256: str
    size_bytes: int


def fetch(http: httpx.Client, path: str, target: Path, on_progress: OnProgress = lambda here, total: None) -> str:
    """Fetch `path` into the file `target`, complete and verified or not at all; returns its SHA-256.

    Raises:
        ApiError: the service refused, does not answer, or what arrived is not what it announced.
        CommandError: another command is downloading the same file to the same place.
        httpx.HTTPError: the connection broke again and again; what arrived is kept for the next command.
    """
    announced = _ask(http, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{announced.sha256[:16]}.part")
    with _locked(part) as file:
        _fill(http, path, file, announced, on_progress)
        sha256 = _sha256_of(file)
        if sha256 != announced.sha256:
            part.unlink()
            lines = [f"announced SHA-256 {announced.sha256}", f"received  SHA-256 {sha256}", "try again"]
            raise ApiError("The download is damaged", lines)
        os.fsync(file.fileno())
        part.replace(target)
    return sha256


def _ask(http: httpx.Client, path: str) -> _Announced:
    """Size and digest of the file at `path`."""
    response = http.head(path)
    if response.is_error:
        raise refused(http.get(path))  # an answer to HEAD has no body, and the reason would be in it
    digests = dict(part.strip().partition("=")[::2] for part in response.headers.get("Repr-Digest", "").split(","))
    try:
        sha256 = base64.b64decode(digests["sha-256"].strip(":"), validate=True).hex()
        return _Announced(response.headers["ETag"], sha256, int(response.headers["Content-Length"]))
    except (KeyError, ValueError) as error:
        lines = [f"{error!r}", "is there a proxy that takes headers away?"]
        raise ApiError(f"{response.request.url} does not say what it will send", lines) from error


@contextmanager
def _locked(part: Path) -> Iterator[BufferedRandom]:
    """The part file, open at its start, for this process alone."""
    while True:
        with part.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise CommandError("Another command is downloading this file", [f"it writes {part}"]) from error
            if _is_at(file, part):
                yield file
                return


def _is_at(file: BufferedRandom, path: Path) -> bool:
    """Whether `file` is still at `path`: whoever had the lock before may have finished, and moved it away."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _size_of(file: BufferedRandom) -> int:
    return os.fstat(file.fileno()).st_size


def _sha256_of(file: BufferedRandom) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _fill(http: httpx.Client, path: str, file: BufferedRandom, announced: _Announced, on_progress: OnProgress) -> None:
    """Ask for what is missing until nothing is; a broken connection is made again as long as it brings something."""
    idle_tries = 0
    while (here := _size_of(file)) != announced.size_bytes:
        if here > announced.size_bytes:  # somebody else wrote into it
            file.truncate(0)
            continue
        on_progress(here, announced.size_bytes)
        try:
            _receive(http, path, file, announced, on_progress)
        except httpx.TransportError:
            idle_tries = idle_tries + 1 if _size_of(file) <= here else 0
            if idle_tries >= MAX_IDLE_TRIES:
                raise
            time.sleep(_BACKOFF_S * 2 ** max(0, idle_tries - 1))
    on_progress(announced.size_bytes, announced.size_bytes)


def _receive(
    http: httpx.Client, path: str, file: BufferedRandom, announced: _Announced, on_progress: OnProgress
) -> None:
    """One request for the bytes that `file` lacks. If-Range: should the file have changed, all of it comes instead."""
    here = _size_of(file)
    headers = {"Range": f"bytes={here}-", "If-Range": announced.etag, "Accept-Encoding": "identity"}
    with http.stream("GET", path, headers=headers) as response:
        if response.is_error:
            response.read()
            raise refused(response)
        if response.headers.get("ETag") != announced.etag:
            raise ApiError("The file changed while it was downloaded", ["run the command again"])
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            file.truncate(0)
            here = 0
        try:
            for chunk in response.iter_raw():
                file.write(chunk)
                here += len(chunk)
                on_progress(here, announced.size_bytes)
        finally:
            file.flush()
