"""Receives an archive: from the network to the disk, hashed on the way, never held in memory and never opened."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from api import problems
from api.problems import ProblemError
from autonl_core.datasets.zip_archive import FIRST_BYTES
from autonl_core.errors import is_disk_full
from store.datasets import Added
from store.stores import Stores

_BLOCK_BYTES = 1 << 20  # written at a time: what arrives comes in smaller pieces


async def receive(request: Request, stores: Stores, name: str) -> Added:
    """Store the body of `request`, and register it as the data set `name`. Whatever goes wrong, nothing is left.

    Raises:
        ProblemError: it is too large, no zip archive, was broken off, or the disk has no room for it.
        DatasetExists: the name is taken by other content.
    """
    announced = _announced(request, stores.settings.max_upload_bytes)
    try:
        upload = await run_in_threadpool(stores.datasets.files.receive, announced)
        with upload:
            first = True
            async for block in _blocks(request):
                if first:
                    _check_start(block)
                first = False
                await run_in_threadpool(upload.write, block)
            if first:
                raise ProblemError(problems.DATASET_INVALID, "the body is empty; send the bytes of a zip archive")
            return await run_in_threadpool(stores.datasets.add_upload, name, upload)
    except ClientDisconnect as error:
        raise ProblemError(problems.MALFORMED_REQUEST, "the upload was broken off; nothing of it was kept") from error
    except OSError as error:
        if not is_disk_full(error):
            raise
        told = f"the disk of the service is full: {error.strerror}"
        raise ProblemError(problems.INSUFFICIENT_STORAGE, told) from error


def _announced(request: Request, limit: int) -> int | None:
    """How long the body says it is. Raises ProblemError if that is too long."""
    text = request.headers.get("content-length", "")
    if not (text.isascii() and text.isdecimal()):
        return None
    if len(text) > 18 or int(text) > limit:
        told = f"the archive has {text[:40]} bytes; at most {limit:,} are allowed (AUTONL_MAX_UPLOAD_BYTES)"
        raise ProblemError(problems.PAYLOAD_TOO_LARGE, told)
    return int(text)


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """The body in blocks of about a megabyte; the server waits for us when we are slower than the network."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        pieces.append(piece)
        size += len(piece)
        if size >= _BLOCK_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    if size:
        yield b"".join(pieces)


def _check_start(block: bytes) -> None:
    if not block.startswith(FIRST_BYTES):
        told = f"this is no zip archive: it starts with {block[:4]!r}; pack the class folders as a zip"
        raise ProblemError(problems.DATASET_INVALID, told)
