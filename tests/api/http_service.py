"""The application behind a real HTTP server, and what workers write, without workers."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from api.app import create_app
from autonl_core.spec.doubtful_labels import DoubtfulLabels
from autonl_core.spec.result import ResultFile
from store.leases import Lease
from store.settings import Settings
from store.stores import Stores, open_stores
from tests.api.unconfined import unconfined_checks
from tests.store import sample_rows as samples
from worker import weight_check_process
from worker.check_process import check
from worker.saved_checks import saved_folder

SEARCH: dict[str, Any] = {"dataset": "digits", "flops_budget": "400k"}
WITHOUT_TLS = False  # nothing here speaks it, and to read all authorities of the web takes longer than most tests
CONTENT = bytes(range(256)) * 40  # of a checkpoint, as far as the API is concerned


@contextmanager
def serving(settings: Settings, port: int = 0) -> Iterator[httpx.Client]:
    """A client of the application, served by uvicorn on a loopback port (0: any) from a thread of this process."""
    # Taken over by its number, as the service does: only then does asyncio see a TCP socket and send without delay.
    listening = socket.socket(fileno=socket.create_server(("127.0.0.1", port)).detach())
    config = uvicorn.Config(create_app(settings), log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), name="api")
    thread.start()
    try:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with httpx.Client(base_url=url, timeout=20, verify=WITHOUT_TLS) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def start(client: httpx.Client, **changes: Any) -> str:
    """The id of a new search."""
    answer = client.post("/searches", json=SEARCH | changes)
    assert answer.status_code == 202, answer.text
    search_id: str = answer.json()["id"]
    return search_id


def check_datasets(settings: Settings) -> None:
    """Run the pending dataset checks in this process."""
    opened = contextlib.closing(open_stores(settings))
    with opened as stores, tempfile.TemporaryDirectory() as folder, unconfined_checks():
        while (lease := stores.checks.claim("checker")) is not None:
            check(stores, lease, Path(folder))
            shutil.rmtree(saved_folder(settings, lease), ignore_errors=True)  # as the check process does


def check_weights(settings: Settings) -> None:
    """Run the pending weight checks in this process."""
    with contextlib.closing(open_stores(settings)) as stores, unconfined_checks():
        while (lease := stores.weight_checks.claim("checker")) is not None:
            weight_check_process.check(stores, lease)


def run_to_success(
    stores: Stores,
    folder: Path,
    content: bytes = CONTENT,
    report: str | None = None,
    onnx: bytes | None = None,
    doubtful: DoubtfulLabels | None = None,
) -> Lease:
    """Do what a worker does with the oldest queued search: claim it, finish it with a result, and store `content`."""
    lease = samples.claim(stores)
    finish(stores, lease, folder, content, report, onnx, doubtful)
    return lease


def finish(
    stores: Stores,
    lease: Lease,
    folder: Path,
    content: bytes = CONTENT,
    report: str | None = None,
    onnx: bytes | None = None,
    doubtful: DoubtfulLabels | None = None,
) -> None:
    """End a search that is claimed as a worker does: with a result and its files."""
    contents = {"safetensors": ("model.safetensors", content)}
    if report is not None:
        contents["report-html"] = ("report.html", report.encode())
        contents["report-md"] = ("report.md", f"# {report}".encode())
    if doubtful is not None:
        contents["doubtful-labels"] = ("doubtful-labels.json", json.dumps(doubtful.to_json()).encode())
    if onnx is not None:
        contents["onnx"] = ("model.onnx", onnx)
    stored, files = {}, {}
    for kind, (name, data) in contents.items():
        (folder / name).write_bytes(data)
        stored[kind] = stores.artifacts.put(f"{lease.search_id}/{lease.fence}/{name}", folder / name)
        files[kind] = ResultFile(Path(name), stored[kind].sha256, stored[kind].size_bytes)
    stores.claims.finish(lease, replace(samples.result(), files=files), stored)


def refusal(answer: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """The problem document of `answer`, with what all of them have asserted."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"/problems/{name}"
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    return problem
