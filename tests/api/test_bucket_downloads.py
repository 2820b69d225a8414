"""Downloads where files are in a bucket: users are sent there, for everything else nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from store.settings import Settings
from store.stores import Stores, open_stores
from tests.api.http_service import CONTENT, refusal, run_to_success, serving, start
from tests.api.test_checkpoints import ETAG
from tests.buckets import bucket_server, bucket_url
from tests.servers import free_port
from tests.store import sample_rows as samples

__all__ = ["bucket_server", "bucket_url"]


@pytest.fixture
def settings(settings: Settings, bucket_url: str) -> Settings:
    return settings.model_copy(update={"artifact_url": bucket_url, "disk_reserve_bytes": 0})


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    with closing(open_stores(settings)) as opened:
        yield opened


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    with serving(settings) as opened:
        yield opened


def links_of_a_result(client: httpx.Client, stores: Stores, folder: Path) -> dict[str, Any]:
    search_id = start(client)
    run_to_success(stores, folder, report="A report")
    links: dict[str, Any] = client.get(f"/searches/{search_id}").json()["links"]
    return links


def test_a_download_is_a_redirect_and_head_has_what_is_known(
    client: httpx.Client, stores: Stores, settings: Settings, tmp_path: Path
) -> None:
    link = links_of_a_result(client, stores, tmp_path)["checkpoint"]
    answer = client.get(link, headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.headers["Cache-Control"], answer.content) == (307, "no-store", b"")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    part = httpx.get(answer.headers["Location"], headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, CONTENT[100:200])
    assert client.get(link, follow_redirects=True).content == CONTENT
    head = client.head(link)
    assert (head.status_code, head.headers["ETag"], head.headers["Content-Length"]) == (200, ETAG, str(len(CONTENT)))
    assert client.get(link, headers={"If-None-Match": ETAG}).status_code == 304
    refusal(client.get(link, headers={"Range": f"bytes={len(CONTENT)}-"}), 416, "range-not-satisfiable")
    arch_id = samples.architecture().arch_id
    refusal(client.get(f"/architectures/{'0' * len(arch_id)}/checkpoint"), 404, "not-found")
    refusal(client.get(f"/architectures/{arch_id}/checkpoint?format=onnx"), 409, "checkpoint-not-ready")
    assert not (settings.data_dir / "artifacts").exists()


def test_a_report_is_sent_by_the_service_with_its_security_policy(
    client: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    answer = client.get(links_of_a_result(client, stores, tmp_path)["report"])
    assert (answer.status_code, answer.text) == (200, "A report")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_the_service_sends_files_itself_if_users_cannot_reach_the_bucket(
    settings: Settings, stores: Stores, tmp_path: Path
) -> None:
    with serving(settings.model_copy(update={"bucket_downloads": "api"})) as client:
        link = links_of_a_result(client, stores, tmp_path)["checkpoint"]
        part = client.get(link, headers={"Range": "bytes=100-199"})
        assert (part.status_code, part.content, part.headers["ETag"]) == (206, CONTENT[100:200], ETAG)


def test_a_deleted_search_leaves_nothing_in_the_bucket(client: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    search_id = start(client)
    lease = run_to_success(stores, tmp_path)
    stores.run_states.take_over(lease)
    key = f"{search_id}/{lease.fence}/model.safetensors"
    stores.artifacts.open(key).close()
    assert client.delete(f"/searches/{search_id}").status_code == 204
    assert stores.run_states.untouched(-60) == {}
    with pytest.raises(Exception, match="not in the store"):
        stores.artifacts.open(key)


def test_a_bucket_that_does_not_respond_is_a_reason_to_ask_again(
    client: httpx.Client, stores: Stores, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = links_of_a_result(client, stores, tmp_path)["report"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with serving(settings) as other:
        problem = refusal(other.get(report), 503, "unavailable")
        assert "does not respond; the file is safe" in problem["detail"]
        assert other.delete(f"{report.removesuffix('/report')}").status_code == 204


def test_a_script_of_the_page_which_may_follow_to_no_other_host_gets_the_file_itself(
    client: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    link = links_of_a_result(client, stores, tmp_path)["checkpoint"]
    script = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}
    answer = client.get(link, headers=script)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    for others in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Dest": "document"}):
        assert client.get(link, headers=script | others).status_code == 307
