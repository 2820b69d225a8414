"""Archives sent to the service: streamed to the disk, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from api import uploads
from store.settings import Settings
from store.upload_folder import Upload
from tests.api.http_service import SEARCH, check_datasets, refusal, serving
from tests.servers import wait_for

ZIP = {"Content-Type": "application/zip"}


def archive(*folders: str, images: int = 5) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for folder in folders or ("dark", "light"):
            for number in range(images):
                picture = io.BytesIO()
                Image.new("L", (12, 10), (17 * number + 40 * len(folder)) % 256).save(picture, "png")
                file.writestr(f"{folder}/{number}.png", picture.getvalue())
    return buffer.getvalue()


def send(client: httpx.Client, name: str, content: Any, **headers: str) -> httpx.Response:
    return client.post("/datasets", params={"name": name}, content=content, headers=ZIP | headers)


def left(settings: Settings) -> set[str]:
    return {path.name for path in settings.datasets_dir.glob("*")} - {".lock"}


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    """In chunks, without a Content-Length."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


def test_an_archive_is_stored_checked_and_can_be_searched_on(client: httpx.Client, settings: Settings) -> None:
    content = archive()
    answer = send(client, "shapes", content)
    assert answer.status_code == 202, answer.text
    assert (answer.headers["Location"], answer.headers["Retry-After"]) == ("/datasets/shapes", "1")
    sha256 = hashlib.sha256(content).hexdigest()
    view = answer.json()
    assert (view["state"], view["kind"], view["sha256"], view["size_bytes"]) == (
        "checking",
        "zip",
        sha256,
        len(content),
    )
    assert (settings.datasets_dir / f"{sha256}.zip").read_bytes() == content
    check_datasets(settings)
    view = client.get("/datasets/shapes").json()
    assert (view["state"], view["classes"], view["train_images"]) == ("ready", ["dark", "light"], 8)
    found = client.post("/searches?validate_only=true", json=SEARCH | {"dataset": "shapes", "flops_budget": "900k"})
    assert found.status_code == 200


def test_the_same_archive_is_recognised_by_its_content(client: httpx.Client, settings: Settings) -> None:
    content = archive()
    send(client, "shapes", content)
    assert send(client, "shapes", content).status_code == 202  # registered, but not checked yet
    check_datasets(settings)
    before = left(settings)
    again = send(client, "shapes", pieces(content, 1000))
    assert (again.status_code, again.json()["state"]) == (200, "ready")
    other = send(client, "forms", content)
    assert (other.status_code, other.json()["state"]) == (201, "ready")
    assert other.json()["report"] == again.json()["report"]
    assert left(settings) == before
    refusal(send(client, "shapes", archive(images=6)), 409, "dataset-exists")
    refusal(send(client, "digits", content), 409, "dataset-exists")
    assert left(settings) == before


@pytest.mark.parametrize("announced", [True, False])
def test_an_upload_that_is_too_large_is_refused_and_leaves_nothing(settings: Settings, announced: bool) -> None:
    content = archive()
    small = settings.model_copy(update={"max_upload_bytes": len(content) - 1})
    with serving(small) as client:
        problem = refusal(
            send(client, "shapes", content if announced else pieces(content, 100)), 413, "payload-too-large"
        )
        assert f"{len(content) - 1:,}" in problem["detail"]
    assert left(settings) == set()


@pytest.mark.parametrize("content", [b"", b"Rar!\x1a\x07", b"\x1f\x8b\x08\x00 tar", b"PK\x05\x06" + bytes(18)])
def test_an_upload_that_is_no_archive_is_refused_at_its_first_bytes(
    client: httpx.Client, settings: Settings, content: bytes
) -> None:
    problem = refusal(send(client, "shapes", content), 422, "dataset-invalid")
    assert "zip archive" in problem["detail"]
    assert left(settings) == set()


def test_an_empty_archive_is_called_empty(client: httpx.Client, settings: Settings) -> None:
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    problem = refusal(send(client, "shapes", buffer.getvalue()), 422, "dataset-invalid")
    assert "the zip archive is empty" in problem["detail"]


def test_a_bad_name_is_refused_by_its_rule_before_the_archive_is_sent(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=20) as connection:
        head = "POST /datasets?name=my%20photos HTTP/1.1\r\nHost: x\r\nContent-Type: application/zip\r\n"
        connection.sendall(head.encode() + b"Content-Length: 99999999\r\n\r\n")  # and no body
        answer = b""
        while b"no accents" not in answer and (piece := connection.recv(65_536)):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 422")
    assert b"letters from A to Z, digits, dots, hyphens and underscores" in answer
    assert b"[A-Za-z" not in answer


def test_an_upload_needs_a_valid_name(client: httpx.Client, settings: Settings) -> None:
    for params in ({}, {"name": "../../etc/cron.d/x"}, {"name": "a\x00b"}):
        answer = client.post("/datasets", params=params, content=archive(), headers=ZIP)
        (field,) = refusal(answer, 422, "invalid-request")["errors"]
        assert (field["source"], field["pointer"]) == ("query", "name")
    assert left(settings) == set()


def test_other_media_types_are_refused_with_the_accepted_ones(client: httpx.Client, settings: Settings) -> None:
    for kind in ("multipart/form-data; boundary=x", "application/x-tar", "application/gzip"):
        answer = client.post("/datasets?name=shapes", content=archive(), headers={"Content-Type": kind})
        problem = refusal(answer, 400, "malformed-request")
        assert "application/zip" in problem["detail"]
    assert left(settings) == set()


@pytest.mark.parametrize(
    "kind", [None, "application/x-zip-compressed", "application/x-zip", "application/octet-stream", "Application/ZIP"]
)
@pytest.mark.parametrize("in_pieces", [False, True])
def test_an_archive_is_recognised_by_its_first_bytes(settings: Settings, kind: str | None, in_pieces: bool) -> None:
    """As `curl -T` sends it, without a type, and as systems name zip archives. No other body may be as large."""
    content = archive()
    headers = {} if kind is None else {"Content-Type": kind}
    with serving(settings.model_copy(update={"max_body_bytes": 1000})) as client:
        sent: Any = pieces(content, 700) if in_pieces else content
        answer = client.post("/datasets?name=shapes", content=sent, headers=headers)
        assert (answer.status_code, answer.json()["size_bytes"]) == (202, len(content)), answer.text
        others = {b"Rar!\x1a\x07": "a RAR archive", b"\x1f\x8b\x08\x00 tar": "a gzip file", b"import os": "a text file"}
        for other, what in others.items():
            problem = refusal(client.post("/datasets?name=x", content=other, headers=headers), 422, "dataset-invalid")
            assert f"not a zip archive, but {what}" in problem["detail"]


def test_json_without_a_type_is_json(client: httpx.Client, settings: Settings) -> None:
    for content in (b'{"name": "shapes", "path": "/nowhere"}', b' \n{"name": "shapes"}', b"[]", b""):
        problem = client.post("/datasets", content=content).json()
        assert problem["type"] in ("/problems/invalid-request", "/problems/malformed-request"), problem


def test_an_interrupted_upload_leaves_nothing(client: httpx.Client, settings: Settings) -> None:
    content = archive()
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
        head = "POST /datasets?name=shapes HTTP/1.1\r\nHost: x\r\nContent-Type: application/zip\r\n"
        connection.sendall(head.encode() + b"Content-Length: 99999999\r\n\r\n" + content)
        wait_for(lambda: left(settings), "the upload has begun", timeout_s=10)
    wait_for(lambda: not left(settings), "its file is deleted", timeout_s=10)
    assert client.get("/datasets/shapes").status_code == 404


def test_the_service_deletes_at_startup_what_killed_ones_left(settings: Settings) -> None:
    settings.datasets_dir.mkdir()
    (settings.datasets_dir / "dead.part").write_bytes(b"PK")
    with Upload(settings.datasets_dir), serving(settings) as client:  # one is still being written, by another process
        client.get("/healthz")  # once it answers, it has started
        assert len(left(settings)) == 1
        assert "dead.part" not in left(settings)


def test_a_full_disk_is_reported_before_anything_is_read(
    client: httpx.Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(settings.data_dir)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    content = archive()
    problem = refusal(send(client, "shapes", content), 507, "insufficient-storage")
    assert f"1,000 bytes are free, {len(content):,} needed" in problem["detail"]
    assert left(settings) == set()


def test_a_disk_that_fills_up_midway_is_reported_and_nothing_is_left(
    client: httpx.Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_BLOCK_BYTES", 1000)
    write = Upload.write

    def full(self: Upload, data: bytes) -> None:
        if self.size_bytes > 1000:
            with Path("/dev/full").open("wb", buffering=0) as device:
                device.write(data)
        write(self, data)

    monkeypatch.setattr(Upload, "write", full)
    problem = refusal(send(client, "shapes", pieces(archive() + bytes(1 << 20), 100_000)), 507, "insufficient-storage")
    assert "No space left on device" in problem["detail"]
    assert left(settings) == set()


def test_memory_does_not_grow_with_the_upload(client: httpx.Client, settings: Settings) -> None:
    """64 MB of noise are uploaded: this process holds only a few blocks of it at a time."""
    noise = os.urandom(1 << 20)

    def much() -> Iterator[bytes]:
        yield b"PK\x03\x04"
        for _ in range(64):
            yield noise

    before = resident_kb()
    assert send(client, "noise", much()).status_code == 202
    assert resident_kb() - before < 30_000
    check_datasets(settings)
    report = client.get("/datasets/noise").json()["report"]
    assert report["problems"][0]["code"] == "zip_refused"
    assert "is not a readable zip archive" in report["problems"][0]["detail"]


def resident_kb() -> int:
    """The peak memory of this process."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
