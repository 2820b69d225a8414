"""The bucket itself: what is damaged or lost on its way, what its server has to know, and what errors say."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from store.bucket import Bucket
from store.bucket_settings import BucketSettings
from store.errors import ArtifactDamaged, ArtifactError, BucketUnavailable, NotFound
from tests.buckets import SECRET, BucketServer, bucket_server, bucket_url
from tests.reliability.proxy import FaultProxy
from tests.servers import free_port

__all__ = ["bucket_server", "bucket_url"]
CONTENT = b"weights of a network " * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(CONTENT)
    return tmp_path / "file"


@pytest.fixture
def bucket(bucket_url: str) -> Bucket:
    return Bucket(bucket_url, BucketSettings())


@pytest.fixture
def proxy(bucket_server: BucketServer) -> Iterator[FaultProxy]:
    opened = FaultProxy(bucket_server.port)
    yield opened
    opened.close()


@pytest.fixture
def behind_proxy(proxy: FaultProxy, bucket_url: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The same, reached through the proxy."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    return Bucket(bucket_url, BucketSettings())


def test_what_is_not_what_it_was_put_as_is_refused(bucket: Bucket, file: Path, tmp_path: Path) -> None:
    bucket.put_new("damaged", file, hashlib.sha256(b"as it was before").hexdigest(), {})
    with pytest.raises(ArtifactDamaged, match="'damaged' in the bucket is damaged"):
        bucket.read("damaged")
    with (tmp_path / "copy").open("wb") as copy, pytest.raises(ArtifactDamaged):
        bucket.copy_to("damaged", copy)


def test_what_changes_on_its_way_is_not_stored_and_worth_another_try(
    behind_proxy: Bucket, proxy: FaultProxy, file: Path
) -> None:
    proxy.changes = (b"network", b"netwurk")
    with pytest.raises(BucketUnavailable):
        behind_proxy.put_new("file", file, SHA256, {})
    proxy.changes = None
    with pytest.raises(NotFound):
        behind_proxy.read("file")
    behind_proxy.put_new("file", file, SHA256, {})
    assert behind_proxy.read("file")[0] == CONTENT


def test_a_put_whose_answer_is_lost_is_not_taken_for_another_one(
    behind_proxy: Bucket, proxy: FaultProxy, file: Path
) -> None:
    proxy.lose_reply(b"200 OK")
    behind_proxy.put_new("file", file, SHA256, {})
    assert proxy.lost.is_set()
    assert behind_proxy.read("file")[0] == CONTENT


def test_a_conditional_put_succeeds_once(bucket: Bucket) -> None:
    assert bucket.put_if("head", b"first", None)
    assert not bucket.put_if("head", b"other", None)
    content, version = bucket.read("head")
    assert bucket.put_if("head", b"second", version)
    assert not bucket.put_if("head", b"third", version)
    assert (content, bucket.read("head")[0]) == (b"first", b"second")


def test_a_server_with_conditional_puts_is_recognised(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.require_conditional_puts()
    monkeypatch.setattr(bucket, "put_if", lambda *_: True)  # as a server that ignores conditions has it
    with pytest.raises(ArtifactError, match="ignores `If-None-Match`"):
        bucket.require_conditional_puts()
    assert list(bucket.below("probes")) == []


def test_a_signed_url_gives_one_file_in_ranges_for_a_while(bucket: Bucket, bucket_url: str, file: Path) -> None:
    bucket.put_new("file", file, SHA256, {"Content-Disposition": 'attachment; filename="it.onnx"'})
    url = bucket.signed_url("file")
    assert SECRET not in url
    part = httpx.get(url, headers={"Range": "bytes=8-9"})
    assert (part.status_code, part.content) == (206, b"of")
    assert part.headers["Content-Disposition"] == 'attachment; filename="it.onnx"'
    assert httpx.get(url.replace("/file?", "/other?")).status_code == 403
    brief = Bucket(bucket_url, BucketSettings(bucket_url_s=timedelta(seconds=60).total_seconds()))
    assert "X-Amz-Expires=60&" in brief.signed_url("file")
    outside = Bucket(bucket_url, BucketSettings(bucket_public_endpoint="https://s3.example.org"))
    assert outside.signed_url("file").startswith("https://s3.example.org/autonl/")


def test_errors_say_what_to_do_and_keep_the_secret(
    bucket_url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    for variable, value, kind in (
        ("AWS_SECRET_ACCESS_KEY", "wrong-secret", ArtifactError),
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}", BucketUnavailable),
    ):
        with monkeypatch.context() as changed:
            changed.setenv(variable, value)
            with pytest.raises(kind) as error:
                Bucket(bucket_url, BucketSettings()).put_new("file", file, SHA256, {})
            said.append(str(error.value))
    assert "check its key (AWS_ACCESS_KEY_ID)" in said[0]
    assert "does not respond" in said[1]
    assert not any(word in text for text in said for word in (SECRET, "wrong-secret", "\n"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ArtifactError, match=r"pip install 'autonl\[s3\]'"):
        Bucket("s3://bucket", BucketSettings())


@pytest.mark.parametrize("url", ["s3://", "s3://user:secret@bucket/x", "s3://bucket:9000/x", "s3://bucket/x?region=y"])
def test_a_url_with_more_than_a_bucket_and_a_prefix_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ArtifactError, match="write s3://bucket") as error:
        Bucket(url, BucketSettings())
    assert "secret" not in str(error.value)
