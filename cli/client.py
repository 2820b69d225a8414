"""A small client of the HTTP API. Responses stay plain JSON objects, exactly as the API documents them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self
from urllib.parse import quote

from cli.errors import ApiError, refused
from cli.transport import READ_S, Http, Params, TransportError, is_error, read

if TYPE_CHECKING:
    from cli.download import OnProgress

RESTING_STATES = frozenset({"succeeded", "failed", "cancelled", "paused"})  # nothing more happens without a request
_UPLOAD_S = 600.0  # the service makes gigabytes durable before it answers
_BLOCK_BYTES = 1 << 18
_PATIENCE_S = 60  # how long `poll` keeps trying while the service restarts


class Client:
    """Calls one service. Close it, or use it as a context manager."""

    def __init__(self, url: str) -> None:
        self._http = Http(url)
        self.url = self._http.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def start_search(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Start a search; the idempotency key makes a repeated request harmless."""
        return self._json("POST", "/searches", body=config, headers={"Idempotency-Key": os.urandom(16).hex()})

    def search(self, search_id: str) -> dict[str, Any]:
        return self._json("GET", f"/searches/{search_id}")

    def trade_off(self, search_id: str) -> dict[str, Any]:
        return self._json("GET", f"/searches/{search_id}/trade-off")

    def repeats(self, search_id: str) -> dict[str, Any]:
        return self._json("GET", f"/searches/{search_id}/repeats")

    def searches(self, **filters: str | int | None) -> dict[str, Any]:
        return self._json("GET", "/searches", params=filters)

    def cancel(self, search_id: str) -> dict[str, Any]:
        return self._json("POST", f"/searches/{search_id}/cancel")

    def pause(self, search_id: str) -> dict[str, Any]:
        return self._json("POST", f"/searches/{search_id}/pause")

    def resume(self, search_id: str) -> dict[str, Any]:
        return self._json("POST", f"/searches/{search_id}/resume")

    def delete_search(self, search_id: str) -> None:
        self._call("DELETE", f"/searches/{search_id}")

    def logs(self, search_id: str, *, attempt: int | None, tail: int) -> dict[str, Any]:
        return self._json("GET", f"/searches/{search_id}/logs", params={"attempt": attempt, "tail": tail})

    def events(self, search_id: str, after: int = 0) -> dict[str, Any]:
        """All events after the given number, collected over as many pages as the service needs."""
        path = f"/searches/{search_id}/events"
        collected = self._json("GET", path, params={"after": after})
        while page := self._json("GET", path, params={"after": collected["last_seq"]})["events"]:
            collected["events"] += page
            collected["last_seq"] = page[-1]["seq"]
        return collected

    def architecture(self, arch_id: str, search_id: str | None = None) -> dict[str, Any]:
        return self._json("GET", f"/architectures/{arch_id}", params={"search_id": search_id})

    def datasets(self) -> dict[str, Any]:
        return self._json("GET", "/datasets")

    def dataset(self, name: str) -> dict[str, Any]:
        return self._json("GET", f"/datasets/{quote(name, safe='')}")

    def register_dataset(self, name: str, path: Path, **reading: str) -> dict[str, Any]:
        """Register a folder or zip archive on the service's own disk; `reading` says how its files are read."""
        return self._json("POST", "/datasets", body={"name": name, "path": str(path), **reading})

    def upload_dataset(
        self, name: str, archive: Path, on_sent: Callable[[int], None], **reading: str
    ) -> dict[str, Any]:
        """Upload a zip archive; `on_sent` is called with the number of bytes sent so far."""
        return self._upload("/datasets", {"name": name, **reading}, archive, "application/zip", on_sent)

    def read_dataset(self, name: str, **reading: str) -> dict[str, Any]:
        """Check an invalid dataset again, its files read in another way."""
        return self._json("PUT", f"/datasets/{quote(name, safe='')}/reading", body=reading)

    def delete_dataset(self, name: str) -> None:
        self._call("DELETE", f"/datasets/{quote(name, safe='')}")

    def list_weights(self) -> dict[str, Any]:
        return self._json("GET", "/weights")

    def weights(self, name: str) -> dict[str, Any]:
        return self._json("GET", f"/weights/{quote(name, safe='')}")

    def upload_weights(
        self, name: str, file: Path, on_sent: Callable[[int], None], **stated: str | float | None
    ) -> dict[str, Any]:
        """Upload a file of weights with what is stated about it; `on_sent` gets the number of bytes sent so far."""
        params = {key: None if value is None else str(value) for key, value in stated.items()}
        return self._upload("/weights", {"name": name, **params}, file, "application/octet-stream", on_sent)

    def delete_weights(self, name: str) -> None:
        self._call("DELETE", f"/weights/{quote(name, safe='')}")

    def poll(self, search_id: str) -> dict[str, Any]:
        """The search in its current state; tolerates a restarting service or an unavailable database for a while."""
        give_up_at = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self.search(search_id)
            except ApiError as error:
                temporary = error.status is None or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
                if not temporary or time.monotonic() > give_up_at:
                    raise
            time.sleep(1)

    def download(self, path: str, target: Path, on_progress: OnProgress = lambda received, total: None) -> str:
        """Download `path` to `target`, complete and verified or not at all; returns the file's SHA-256.

        Continues where an earlier call was interrupted. Raises ApiError and CommandError as `download.fetch` does.
        """
        from cli.download import fetch  # what hashes and locks files, and no other request needs

        try:
            return fetch(self._http, path, target, on_progress)
        except TransportError as error:
            raise self._unreachable(error, "received bytes are kept; run the same command again to continue") from error

    def _upload(
        self, path: str, params: Params, content: Path, content_type: str, on_sent: Callable[[int], None]
    ) -> dict[str, Any]:
        with content.open("rb") as file:
            headers = {"Content-Type": content_type, "Content-Length": str(os.fstat(file.fileno()).st_size)}
            blocks = _blocks(file, on_sent)
            return _parsed(
                self._call("POST", path, params=params, content=blocks, headers=headers, timeout_s=_UPLOAD_S)
            )

    def _json(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode()
        content_type = {} if body is None else {"Content-Type": "application/json"}
        return _parsed(
            self._call(method, path, params=params, content=content, headers=content_type | dict(headers or {}))
        )

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = READ_S,
    ) -> bytes:
        """The body of the response. Raises ApiError if there is none, or if it refuses the request."""
        request = self._http.open(method, path, params=params, content=content, headers=headers, timeout_s=timeout_s)
        try:
            with request as response:
                body = read(response)
        except TransportError as error:
            raise self._unreachable(error) from error
        if is_error(response):
            raise refused(f"{self.url}{path}", response.status, body)
        return body

    def _unreachable(self, error: TransportError, *hints: str) -> ApiError:
        way_out = "start a service with `autonl up`, or point --url at a running one"
        return ApiError(f"No response from {self.url}", [str(error), way_out, *hints])


def _parsed(body: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(body)
    return content


def _blocks(file: BinaryIO, on_sent: Callable[[int], None]) -> Iterator[bytes]:
    """The content of `file` in blocks; reports the bytes consumed after each one."""
    sent_bytes = 0
    while block := file.read(_BLOCK_BYTES):
        yield block
        sent_bytes += len(block)
        on_sent(sent_bytes)
