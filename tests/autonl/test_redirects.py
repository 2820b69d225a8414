"""Downloads from a bucket that a service redirects to: continued and verified like any other, and without the key."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from autonl.download import download_file
from autonl.errors import DownloadFailed
from tests.autonl.conftest import Caller
from tests.autonl.scripted_service import answer, answering

CONTENT = b"a network"
SHA256 = hashlib.sha256(CONTENT)
DIGEST = f"sha-256=:{base64.b64encode(SHA256.digest()).decode()}:"
HEAD = (
    f'HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\nETag: "{SHA256.hexdigest()}"\r\n'
    f"Repr-Digest: {DIGEST}\r\nConnection: close\r\n\r\n"
).encode()
LINK = "/architectures/x/checkpoint?format=onnx"


def part(content: bytes) -> bytes:
    """As a bucket answers that has an entity tag of its own."""
    head = f'HTTP/1.1 206 Partial Content\r\nContent-Length: {len(content)}\r\nETag: "md5"\r\nConnection: close\r\n\r\n'
    return head.encode() + content


def test_what_is_missing_is_asked_of_the_bucket_without_the_key(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / f".file.{SHA256.hexdigest()[:16]}.part").write_bytes(CONTENT[:2])
    with answering(part(CONTENT[2:])) as (bucket, of_bucket):
        redirect = answer("307 Temporary Redirect", Location=f"{bucket}/key?signature=1")
        with answering(HEAD, redirect) as (url, of_service):
            path, sha256 = caller.run(url, download_file(LINK, tmp_path / "file", lambda *_: None), key="secret-key")
    assert (path.read_bytes(), sha256) == (CONTENT, SHA256.hexdigest())
    assert "secret-key" in of_service[1]
    assert of_bucket[0].startswith("GET /key?signature=1 ")
    assert "bytes=2-" in of_bucket[0]
    assert "secret-key" not in of_bucket[0]
    assert "if-range" not in of_bucket[0].lower()


def test_what_the_bucket_sends_is_verified(caller: Caller, tmp_path: Path) -> None:
    with answering(part(b"b network")) as (bucket, _):
        redirect = answer("307 Temporary Redirect", Location=f"{bucket}/key")
        with answering(HEAD, redirect) as (url, _), pytest.raises(DownloadFailed):
            caller.run(url, download_file(LINK, tmp_path / "file", lambda *_: None))
    assert not (tmp_path / "file").exists()


def test_a_redirect_of_the_bucket_is_not_followed(caller: Caller, tmp_path: Path) -> None:
    again = answer("307 Temporary Redirect", Location="http://127.0.0.1:1/")
    with answering(again) as (bucket, _):
        redirect = answer("307 Temporary Redirect", Location=f"{bucket}/key")
        with answering(HEAD, redirect) as (url, _), pytest.raises(Exception, match="307"):
            caller.run(url, download_file(LINK, tmp_path / "file", lambda *_: None))
