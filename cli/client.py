"""A small client of the HTTP API. Responses stay plain JSON objects, exactly as the API documents them."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote

import httpx

from cli.download import OnProgress, fetch
from cli.errors import ApiError, refused

RESTING_STATES = frozenset({"succeeded", "failed", "cancelled", "paused"})  # nothing more happens without a request
_TIMEOUT = httpx.Timeout(30, connect=5)
_UPLOAD_TIMEOUT = httpx.Timeout(600, connect=5)  # the service makes gigabytes durable before it answers
_BLOCK_BYTES = 1 << 18
_PATIENCE_S = 60  # how long `poll` keeps trying while the service restarts


class Client:
    """Calls one service. Close it, or use it as a context manager."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=_TIMEOUT, headers={"Accept": "application/json"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def start_search(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Start a search; the idempotency key makes a repeated request harmless."""
        return self._json("POST", "/searches", json=config, headers={"Idempotency-Key": secrets.token_hex(16)})

    def search(self, search_id: str) -> dict[str, Any]:
        return self._json("GET", f"/searches/{search_id}")

    def searches(self, **filters: str | int | None) -> dict[str, Any]:
        return self._json("GET", "/searches", params=_without_none(filters))

    def cancel(self, search_id: str) -> dict[str, Any]:
        return self._json("POST", f"/searches/{search_id}/cancel")

    def pause(self, search_id: str) -> dict[str, Any]:
        return self._json("POST", f"/searches/{search_id}/pause")

    def resume(self, search_id: str) -> dict[str, Any]:
        return self._json("POST", f"/searches/{search_id}/resume")

    def events(self, search_id: str, after: int = 0) -> dict[str, Any]:
        """All events after the given number, collected over as many pages as the service needs."""
        path = f"/searches/{search_id}/events"
        collected = self._json("GET", path, params={"after": after})
        while page := self._json("GET", path, params={"after": collected["last_seq"]})["events"]:
            collected["events"] += page
            collected["last_seq"] = page[-1]["seq"]
        return collected

    def architecture(self, arch_id: str, search_id: str | None = None) -> dict[str, Any]:
        return self._json("GET", f"/architectures/{arch_id}", params=_without_none({"search_id": search_id}))

    def datasets(self) -> dict[str, Any]:
        return self._json("GET", "/datasets")

    def dataset(self, name: str) -> dict[str, Any]:
        return self._json("GET", f"/datasets/{quote(name, safe='')}")

    def register_dataset(self, name: str, path: Path) -> dict[str, Any]:
        """Register a folder or zip archive on the service's own disk."""
        return self._json("POST", "/datasets", json={"name": name, "path": str(path)})

    def upload_dataset(self, name: str, archive: Path, on_sent: Callable[[int], None]) -> dict[str, Any]:
        """Upload a zip archive; `on_sent` is called with the number of bytes sent so far."""
        with archive.open("rb") as file:
            headers = {"Content-Type": "application/zip", "Content-Length": str(os.fstat(file.fileno()).st_size)}
            content = _blocks(file, on_sent)
            return self._json(
                "POST", "/datasets", params={"name": name}, content=content, headers=headers, timeout=_UPLOAD_TIMEOUT
            )

    def delete_dataset(self, name: str) -> None:
        try:
            response = self._http.delete(f"/datasets/{quote(name, safe='')}")
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise refused(response)

    def poll(self, search_id: str) -> dict[str, Any]:
        """The search in its current state; tolerates a restarting service or an unavailable database for a while."""
        give_up_at = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self.search(search_id)
            except ApiError as error:
                temporary = error.status is None or error.status >= httpx.codes.INTERNAL_SERVER_ERROR
                if not temporary or time.monotonic() > give_up_at:
                    raise
            time.sleep(1)

    def download(self, path: str, target: Path, on_progress: OnProgress = lambda received, total: None) -> str:
        """Download `path` to `target`, complete and verified or not at all; returns the file's SHA-256.

        Continues where an earlier call was interrupted. Raises ApiError and CommandError as `download.fetch` does.
        """
        try:
            return fetch(self._http, path, target, on_progress)
        except httpx.HTTPError as error:
            raise self._unreachable(error, "received bytes are kept; run the same command again to continue") from error

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise refused(response)
        body: dict[str, Any] = response.json()
        return body

    def _unreachable(self, error: httpx.HTTPError, *hints: str) -> ApiError:
        way_out = "start a service with `autonl up`, or point --url at a running one"
        lines = [f"{type(error).__name__}: {error}", way_out, *hints]
        return ApiError(f"No response from {self.url}", lines)


def _blocks(file: BinaryIO, on_sent: Callable[[int], None]) -> Iterator[bytes]:
    """The content of `file` in blocks; reports the bytes consumed after each one."""
    sent_bytes = 0
    while block := file.read(_BLOCK_BYTES):
        yield block
        sent_bytes += len(block)
        on_sent(sent_bytes)


def _without_none(values: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in values.items() if value is not None}
