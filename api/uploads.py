"""Receives an archive: streamed from the network to the disk and hashed on the way, never held in memory or opened."""

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

_BLOCK_BYTES = 1 << 20  # written at a time; pieces from the network are smaller
_MAX_DIGITS = 18  # no archive is that long, and parsing a number of thousands of digits is slow


async def receive(request: Request, stores: Stores, name: str) -> Added:
    """Store the body of `request` and register it as the dataset `name`. A failed upload leaves nothing behind.

    Raises:
        ProblemError: it is too large, not a zip archive, interrupted, or the disk has no room for it.
        DatasetExists: the name is taken by other content.
    """
    announced_bytes = _announced_bytes(request, stores.settings.max_upload_bytes)
    try:
        upload = await run_in_threadpool(stores.datasets.files.receive, announced_bytes)
        with upload:
            is_first = True
            async for block in _blocks(request):
                if is_first:
                    _require_zip(block)
                is_first = False
                await run_in_threadpool(upload.write, block)
            if is_first:
                raise ProblemError(problems.DATASET_INVALID, "the body is empty; send the bytes of a zip archive")
            return await run_in_threadpool(stores.datasets.add_upload, name, upload)
    except ClientDisconnect as error:
        raise ProblemError(problems.MALFORMED_REQUEST, "the upload was interrupted; nothing was stored") from error
    except OSError as error:
        if not is_disk_full(error):
            raise
        detail = f"the disk of the service is full: {error.strerror}"
        raise ProblemError(problems.INSUFFICIENT_STORAGE, detail) from error


def _announced_bytes(request: Request, max_bytes: int) -> int | None:
    """The Content-Length, if there is one. Raises ProblemError if it is too large."""
    text = request.headers.get("content-length", "")
    if not (text.isascii() and text.isdecimal()):
        return None
    if len(text) > _MAX_DIGITS or int(text) > max_bytes:
        detail = f"the archive has {text[:40]} bytes; at most {max_bytes:,} are allowed (AUTONL_MAX_UPLOAD_BYTES)"
        raise ProblemError(problems.PAYLOAD_TOO_LARGE, detail)
    return int(text)


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """The body in blocks of about a megabyte; the server stops reading while the disk is slower than the network."""
    pieces: list[bytes] = []
    size_bytes = 0
    async for piece in request.stream():
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes >= _BLOCK_BYTES:
            yield b"".join(pieces)
            pieces, size_bytes = [], 0
    if size_bytes:
        yield b"".join(pieces)


def _require_zip(first_block: bytes) -> None:
    if not first_block.startswith(FIRST_BYTES):
        detail = f"not a zip archive: it starts with {first_block[:4]!r}; pack the class folders as a zip"
        raise ProblemError(problems.DATASET_INVALID, detail)
