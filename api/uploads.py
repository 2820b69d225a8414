"""Receives a file: streamed from the network to the disk and hashed on the way, never held in memory or opened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from api import problems
from api.problems import ProblemError, ProblemType
from autonl_core.errors import DiskReserved, is_disk_full
from store.upload_folder import Upload, UploadFolder

_BLOCK_BYTES = 1 << 20  # written at a time; pieces from the network are smaller
_MAX_DIGITS = 18  # no file is that long, and parsing a number of thousands of digits is slow

AddedT = TypeVar("AddedT")


def _accept(first_block: bytes) -> None:
    """Any file may begin like this."""


@dataclass(frozen=True)
class UploadKind:
    """What is uploaded.

    Args:
        noun: what one is called in messages: "archive".
        folder: where it is stored.
        require_room: raises QuotaExceeded if so many bytes are not to be stored for the tenant.
        max_bytes: its limit, and `setting` the setting that says so.
        invalid: the problem if it is empty.
        check_start: raises ProblemError if no such file begins with these bytes.
    """

    noun: str
    folder: UploadFolder
    require_room: Callable[[int], None]
    max_bytes: int
    setting: str
    invalid: ProblemType
    check_start: Callable[[bytes], None] = _accept


async def receive(request: Request, kind: UploadKind, add: Callable[[Upload], AddedT]) -> AddedT:
    """Store the body of `request`, and return what `add` makes of it. A failed upload leaves nothing behind.

    Raises:
        ProblemError: it is too large, empty, no such file, interrupted, or the disk has no room for it.
        StoreError: `add` refuses it.
    """
    announced_bytes = _announced_bytes(request, kind)
    await run_in_threadpool(kind.require_room, announced_bytes or 1)
    try:
        upload = await run_in_threadpool(kind.folder.receive, announced_bytes)
        with upload:
            is_first = True
            async for block in _blocks(request):
                if is_first:
                    kind.check_start(block)
                is_first = False
                await run_in_threadpool(upload.write, block)
            if is_first:
                raise ProblemError(kind.invalid, f"the body is empty; send the bytes of the {kind.noun}")
            return await run_in_threadpool(add, upload)
    except ClientDisconnect as error:
        raise ProblemError(problems.MALFORMED_REQUEST, "the upload was interrupted; nothing was stored") from error
    except DiskReserved as error:
        raise _reserved(error) from error
    except OSError as error:
        if not is_disk_full(error):
            raise
        detail = f"the disk of the service is full: {error.strerror}"
        raise ProblemError(problems.INSUFFICIENT_STORAGE, detail) from error


def _reserved(error: DiskReserved) -> ProblemError:
    reserve = f"; the reserve is AUTONL_DISK_RESERVE_BYTES={error.reserve_bytes:,}" if error.reserve_bytes else ""
    detail = f"on the disk of the service {error.strerror}{reserve}: free space there, or delete datasets and weights"
    return ProblemError(
        problems.INSUFFICIENT_STORAGE,
        detail,
        free_bytes=error.free_bytes,
        needed_bytes=error.needed_bytes,
        reserve_bytes=error.reserve_bytes,
    )


def _announced_bytes(request: Request, kind: UploadKind) -> int | None:
    """The Content-Length, if there is one. Raises ProblemError if it is too large."""
    text = request.headers.get("content-length", "")
    if not (text.isascii() and text.isdecimal()):
        return None
    if len(text) > _MAX_DIGITS or int(text) > kind.max_bytes:
        detail = f"the {kind.noun} has {text[:40]} bytes; at most {kind.max_bytes:,} are allowed ({kind.setting})"
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
