"""Doubtful labels: the list that a search wrote down, revalidated, and before there is one."""

from __future__ import annotations

from pathlib import Path

import httpx

from autonl_core.spec.doubtful_labels import DoubtfulLabel, DoubtfulLabels
from store.stores import Stores
from tests.api.http_service import finish, refusal, run_to_success, start
from tests.store import sample_rows as samples

PICTURE = "data:image/png;base64,AA=="
FOUND = DoubtfulLabels(1797, [DoubtfulLabel("train/7/ä.png", "train", "7", 2.5, "1", 97.0, PICTURE)])


def test_it_is_linked_sent_as_it_was_written_and_not_sent_twice(
    client: httpx.Client, stores: Stores, tmp_path: Path
) -> None:
    path = f"/searches/{start(client)}"
    finish(stores, samples.claim(stores), tmp_path, doubtful=FOUND)
    link = client.get(path).json()["links"]["doubtful-labels"]
    answer = client.get(link)
    assert (answer.status_code, answer.json()) == (200, FOUND.to_json())
    assert answer.headers["Content-Type"] == "application/json"
    again = client.get(link, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_without_one_the_answer_says_why(client: httpx.Client, stores: Stores, tmp_path: Path) -> None:
    search_id = start(client)
    path = f"/searches/{search_id}/doubtful-labels"
    waiting = client.get(path)
    refused = refusal(waiting, 409, "doubtful-labels-not-ready")
    assert refused["detail"].endswith("is queued; its list of doubtful labels will be available once it has succeeded")
    assert waiting.headers["Retry-After"] == "2"
    run_to_success(stores, tmp_path)  # by a version that wrote none
    ended = client.get(path)
    detail = refusal(ended, 409, "doubtful-labels-not-ready")["detail"]
    assert detail.endswith("has no list of doubtful labels; its events say why")
    assert "Retry-After" not in ended.headers
    assert "doubtful-labels" not in client.get(f"/searches/{search_id}").json()["links"]
