"""Files of weights sent to the service: streamed to the disk, whole or not at all, whatever happens on the way."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import refusal, serving
from tests.api.test_weights import send
from tests.servers import free_port, wait_for

CONTENT = bytes(range(256)) * 40


def left(settings: Settings) -> set[str]:
    return {path.name for path in settings.weights_dir.glob("*")} - {".lock"}


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    """In chunks, without a Content-Length."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("announced", [True, False])
def test_an_upload_that_is_too_large_is_refused_and_leaves_nothing(settings: Settings, announced: bool) -> None:
    small = settings.model_copy(update={"max_weights_bytes": len(CONTENT) - 1})
    with serving(small) as client:
        problem = refusal(
            send(client, "mine", CONTENT if announced else pieces(CONTENT, 100)), 413, "payload-too-large"
        )
        assert f"{len(CONTENT) - 1:,}" in problem["detail"]
    assert left(settings) == set()


def test_weights_may_be_larger_than_any_other_body(settings: Settings) -> None:
    small = settings.model_copy(update={"max_body_bytes": 100, "max_upload_bytes": 100})
    with serving(small) as client:
        assert send(client, "mine", CONTENT).status_code == 202
        refusal(client.post("/datasets?name=x", content=CONTENT, headers={"Content-Type": "application/zip"}), 413,
                "payload-too-large")  # fmt: skip


def test_an_empty_body_is_refused(client: httpx.Client, settings: Settings) -> None:
    problem = refusal(send(client, "mine", b""), 422, "weights-invalid")
    assert "the body is empty; send the bytes of the file of weights" in problem["detail"]
    assert left(settings) == set()


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json", "text/plain"])
def test_other_media_types_are_refused_with_the_accepted_one(
    client: httpx.Client, settings: Settings, kind: str
) -> None:
    answer = client.post("/weights?name=mine", content=CONTENT, headers={"Content-Type": kind})
    problem = refusal(answer, 400, "malformed-request")
    assert "Content-Type: application/octet-stream, or none" in problem["detail"]
    assert client.post("/weights?name=mine", content=CONTENT, headers={
        "Content-Type": "application/octet-stream"}).status_code == 202  # fmt: skip


def test_an_interrupted_upload_leaves_nothing(client: httpx.Client, settings: Settings) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
        connection.sendall(b"POST /weights?name=mine HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n" + CONTENT)
        wait_for(lambda: left(settings), "the upload has begun", timeout_s=10)
    wait_for(lambda: not left(settings), "its file is deleted", timeout_s=10)
    assert client.get("/weights/mine").status_code == 404


@pytest.mark.long
def test_a_service_killed_in_the_middle_of_an_upload_leaves_nothing_once_it_is_back(
    settings: Settings, stores: Stores
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory", "--port", str(port)]
    with subprocess.Popen(command, env=settings.environment() | {"PYTHONPATH": os.pathsep.join(sys.path)}) as service:
        wait_for(lambda: answers(port), "the API answers", timeout_s=60)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            head = b"POST /weights?name=mine HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
            connection.sendall(head + bytes(3 << 20))
            wait_for(lambda: any(name.endswith(".part") for name in left(settings)), "the upload has begun")
            service.send_signal(signal.SIGKILL)
            service.wait(10)
    assert len(left(settings)) == 1
    assert [entry.name for entry in stores.weight_sets.list() if entry.origin == "uploaded"] == []
    with serving(settings) as client:
        assert left(settings) == set()
        assert send(client, "mine", CONTENT).status_code == 202


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").is_success
    except httpx.TransportError:
        return False


def test_a_full_disk_is_reported_before_anything_is_read(
    client: httpx.Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(settings.data_dir)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    problem = refusal(send(client, "mine", CONTENT), 507, "insufficient-storage")
    assert f"1,000 bytes are free, {len(CONTENT):,} needed" in problem["detail"]
    assert left(settings) == set()
