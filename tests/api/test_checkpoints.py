"""Downloads: whole, in ranges, revalidated, and before there is anything to download."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from autonl_core.spec.result import FormatParity, ResultFile
from store.stores import Stores
from tests.api.http_service import CONTENT, refusal, run_to_success, start
from tests.store import sample_rows as samples

ETAG = f'"{hashlib.sha256(CONTENT).hexdigest()}"'


@pytest.fixture
def link(client: httpx.Client, stores: Stores, tmp_path: Path) -> str:
    """The path of a checkpoint that is there."""
    path = f"/searches/{start(client)}"
    run_to_success(stores, tmp_path)
    checkpoint: str = client.get(path).json()["links"]["checkpoint"]
    return checkpoint


def test_the_headers_give_name_size_and_digest(client: httpx.Client, link: str) -> None:
    answer = client.get(link)
    assert answer.headers["ETag"] == ETAG
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"
    arch_id = samples.architecture().arch_id
    assert answer.headers["Content-Disposition"] == f'attachment; filename="autonl-digits-{arch_id}.safetensors"'
    head = client.head(link)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(CONTENT))
    assert client.get(link, headers={"If-None-Match": ETAG}).status_code == 304


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=10000-", 10000, len(CONTENT)),
        ("bytes=10000-999999999", 10000, len(CONTENT)),
        ("bytes=-16", len(CONTENT) - 16, len(CONTENT)),
        ("bytes=-999999999", 0, len(CONTENT)),
    ],
)
def test_a_range_is_sent_alone(client: httpx.Client, link: str, asked: str, start: int, stop: int) -> None:
    answer = client.get(link, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:stop]
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
    assert answer.headers["ETag"] == ETAG


@pytest.mark.parametrize("asked", ["bytes=5-1", "bytes=a-b", "bytes=-", "lines=1-2", "bytes=0-1,3-4", ""])
def test_a_range_that_cannot_be_read_gets_the_whole_file(client: httpx.Client, link: str, asked: str) -> None:
    answer = client.get(link, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=-0"])
def test_a_range_outside_the_file_is_refused(client: httpx.Client, link: str, asked: str) -> None:
    answer = client.get(link, headers={"Range": asked})
    assert (answer.status_code, answer.json()["type"]) == (416, "/problems/range-not-satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_a_range_of_another_version_gets_the_whole_file(client: httpx.Client, link: str) -> None:
    other = client.get(link, headers={"Range": "bytes=1-2", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, CONTENT)
    same = client.get(link, headers={"Range": "bytes=1-2", "If-Range": ETAG})
    assert (same.status_code, same.content) == (206, CONTENT[1:3])


def test_while_the_search_runs_there_is_no_checkpoint_yet(client: httpx.Client, stores: Stores) -> None:
    search_id = start(client)
    lease = samples.claim(stores)
    record = samples.architecture()
    stores.updates.architecture(lease, record)
    path = f"/architectures/{record.arch_id}/checkpoint"
    early = client.get(path)
    assert (early.status_code, early.json()["type"]) == (409, "/problems/checkpoint-not-ready")
    assert early.headers["Retry-After"] == "2"
    stores.claims.fail(lease, "DatasetError", "too few images")
    never = client.get(path, params={"search_id": search_id})
    assert (never.status_code, never.json()["state"]) == (409, "failed")
    assert "Retry-After" not in never.headers


def test_each_format_has_its_own_file_name_and_type(client: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    start(client)
    lease, result = samples.claim(stores), samples.result()
    files, content = {}, {"bundle": b"PK", "onnx": b"ONNX", "onnx-int8": b"INT8"}
    for kind, data in content.items():
        source = tmp_path / kind
        source.write_bytes(data)
        files[kind] = stores.artifacts.put(f"{lease.search_id}/1/{kind}", source)
    stores.claims.finish(lease, result, files)
    path = f"/architectures/{result.architecture.arch_id}/checkpoint"
    answers = {kind: client.get(path, params={"format": kind}) for kind in content}
    assert {kind: answer.content for kind, answer in answers.items()} == content
    assert {kind: answer.headers["Content-Type"] for kind, answer in answers.items()} == {
        "bundle": "application/zip",
        "onnx": "application/octet-stream",
        "onnx-int8": "application/octet-stream",
    }
    names = {answer.headers["Content-Disposition"].partition("filename=")[2] for answer in answers.values()}
    assert names == {f'"autonl-digits-{result.architecture.arch_id}{end}"' for end in (".zip", ".onnx", ".int8.onnx")}


def test_a_format_that_is_not_there_is_refused_with_the_reason(client: httpx.Client, stores: Stores) -> None:
    start(client)
    withheld = FormatParity(300, 83.6, 9.5, 55, 1_000, "3" * 64, withheld="it loses 14.4 points, more than 2.0")
    file = ResultFile(Path("model.safetensors"), "0" * 64, 10)
    result = replace(samples.result(), parity={"onnx-int8": withheld}, files={"safetensors": file})
    stores.claims.finish(samples.claim(stores), result, {"safetensors": samples.CHECKPOINT})
    path = f"/architectures/{result.architecture.arch_id}/checkpoint"
    eight_bits = refusal(client.get(path, params={"format": "onnx-int8"}), 409, "checkpoint-not-ready")
    assert "is withheld: it loses 14.4 points, more than 2.0" in eight_bits["detail"]
    not_asked_for = refusal(client.get(path, params={"format": "torchscript"}), 409, "checkpoint-not-ready")
    assert "was not asked to export torchscript" in not_asked_for["detail"]
    assert "it has safetensors" in not_asked_for["detail"]


def test_a_cancelled_search_names_the_request_for_its_best_network(client: httpx.Client, stores: Stores) -> None:
    search_id = start(client)
    lease, record = samples.claim(stores), samples.architecture()
    stores.updates.checkpoint(lease, record, samples.CHECKPOINT)
    stores.control.cancel(search_id)
    stores.claims.cancelled(lease)
    path = f"/architectures/{record.arch_id}/checkpoint"
    none = refusal(client.get(path, params={"format": "bundle"}), 409, "checkpoint-not-ready")
    wanted = f"GET {path}?search_id={search_id}&format=safetensors"
    assert none["detail"] == f"a cancelled search has no bundle; {wanted} gives its best network"


def test_an_unknown_architecture_and_an_unknown_format_get_different_errors(client: httpx.Client, link: str) -> None:
    assert client.get("/architectures/0000000000000000/checkpoint").status_code == 404
    invalid = client.get(link, params={"format": "pickle"})
    assert invalid.status_code == 422
    assert invalid.json()["errors"][0]["pointer"] == "format"
