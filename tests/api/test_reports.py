"""Reports: as HTML or Markdown, revalidated, harmless, and before there is one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest

from store.stores import Stores
from tests.api.http_service import refusal, run_to_success, start
from tests.store import sample_rows as samples

HTML = "<!doctype html><title>Ein Bericht für дом</title>"
MARKDOWN = f"# {HTML}"


@pytest.fixture
def path(client: httpx.Client, stores: Stores, tmp_path: Path) -> str:
    """The path of a search that has a report in both forms."""
    found = f"/searches/{start(client)}"
    run_to_success(stores, tmp_path, report=HTML)
    return found


def test_a_search_that_has_one_links_to_it(client: httpx.Client, path: str) -> None:
    found = client.get(path).json()
    assert found["links"]["report"] == f"{path}/report"
    assert found["result"]["files"]["report-html"]["size_bytes"] == len(HTML.encode())


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        ("", "*/*", HTML),
        ("", "text/html,application/xhtml+xml,*/*;q=0.8", HTML),
        ("", "text/markdown", MARKDOWN),
        ("", "text/markdown;q=0.9, text/html;q=0.1", MARKDOWN),
        ("", "text/markdown;q=0.5, text/html", HTML),
        ("", "text/markdown;q=nan, ;;=,", HTML),
        ("?format=markdown", "text/html", MARKDOWN),
        ("?format=html", "text/markdown", HTML),
    ],
)
def test_its_form_is_what_was_asked_for(
    client: httpx.Client, path: str, query: str, accept: str, expected: str
) -> None:
    answer = client.get(f"{path}/report{query}", headers={"Accept": accept})
    assert (answer.status_code, answer.text) == (200, expected)
    assert answer.headers["Content-Type"] == f"text/{'html' if expected == HTML else 'markdown'}; charset=utf-8"
    assert answer.headers["Vary"] == "Accept"


def test_its_etag_is_its_digest_and_it_is_not_sent_twice(client: httpx.Client, path: str) -> None:
    etag = f'"{hashlib.sha256(HTML.encode()).hexdigest()}"'
    head = client.head(f"{path}/report")
    assert (head.headers["ETag"], head.content) == (etag, b"")
    assert head.headers["Content-Length"] == str(len(HTML.encode()))
    again = client.get(f"{path}/report", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(f"{path}/report?format=markdown", headers={"If-None-Match": etag})
    assert other.status_code == 200


def test_what_it_holds_can_run_nothing_and_load_nothing(client: httpx.Client, path: str) -> None:
    headers = client.get(f"{path}/report").headers
    policy = {part.split()[0]: part.split()[1:] for part in headers["Content-Security-Policy"].split(";")}
    assert policy["default-src"] == ["'none'"]
    assert policy["img-src"] == ["data:"]
    assert policy["sandbox"] == []
    assert not {"script-src", "connect-src", "frame-src"} & policy.keys()
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_before_the_end_there_is_none_yet(client: httpx.Client, stores: Stores) -> None:
    report = f"/searches/{start(client)}/report"
    answer = client.get(report)
    assert refusal(answer, 409, "report-not-ready")["state"] == "queued"
    assert answer.headers["Retry-After"] == "2"
    lease = samples.claim(stores)
    stores.updates.architecture(lease, samples.architecture(seed=1))
    assert refusal(client.get(report), 409, "report-not-ready")["state"] == "running"
    client.post(report.replace("/report", "/pause")).raise_for_status()
    stores.claims.gave_back(lease)
    answer = client.get(report)
    assert "resume it" in refusal(answer, 409, "report-not-ready")["detail"]
    assert "Retry-After" not in answer.headers


def test_a_search_that_failed_never_has_one_and_an_unknown_one_is_not_found(
    client: httpx.Client, stores: Stores
) -> None:
    report = f"/searches/{start(client)}/report"
    stores.claims.fail(samples.claim(stores), "DatasetError", "too few images")
    answer = client.get(report)
    problem = refusal(answer, 409, "report-not-ready")
    assert (problem["state"], problem["detail"].partition(" ")[2].partition(" ")[2]) == (
        "failed",
        "failed, so it has no report; its `error` says why",
    )
    assert "Retry-After" not in answer.headers
    report = f"/searches/{start(client)}/report"
    client.post(report.replace("/report", "/cancel")).raise_for_status()
    cancelled = refusal(client.get(report), 409, "report-not-ready")["detail"]
    assert cancelled.endswith("was cancelled, so it has no report; resume it to have one")
    refusal(client.get("/searches/0123456789abcdef/report"), 404, "not-found")
    assert refusal(client.get(f"{report}?format=pdf"), 422, "invalid-request")["errors"][0]["pointer"] == "format"
