"""Going on from a finished search over HTTP: what is accepted, what is refused, and where."""

from __future__ import annotations

import contextlib
from pathlib import Path

import httpx
import pytest

from store.db import now
from store.models import Search
from store.settings import Settings
from store.stores import open_stores
from store.supernets import put_supernet
from tests.api.http_service import SEARCH, refusal, run_to_success, start

CONTENT = b"weights"


@pytest.fixture
def parent(client: httpx.Client, settings: Settings, tmp_path: Path) -> str:
    """A search on digits that succeeded and left its supernet."""
    search_id = start(client)
    with contextlib.closing(open_stores(settings)) as stores:
        lease = run_to_success(stores, tmp_path)
        (tmp_path / "supernet").write_bytes(CONTENT)
        stored = stores.artifacts.put(f"{search_id}/{lease.fence}/supernet", tmp_path / "supernet")
        with stores.database.session_scope() as session:
            put_supernet(session, session.get_one(Search, search_id), stored, now(session))
    return search_id


def refused_field(client: httpx.Client, body: dict[str, object]) -> tuple[str, str]:
    (field,) = refusal(client.post("/searches", json=SEARCH | body), 422, "invalid-request")["errors"]
    return field["pointer"], field["detail"]


def test_another_budget_goes_on_from_a_finished_search(client: httpx.Client, parent: str) -> None:
    plan = client.post("/searches?validate_only=true", json=SEARCH | {"init": f"search:{parent}"})
    assert plan.status_code == 200, plan.text
    successor = client.get(f"/searches/{start(client, init=f'search:{parent}', flops_budget='300k')}").json()
    assert (successor["config"]["parent"], successor["config"]["init"]) == (parent, "none")
    assert successor["config"]["supernet"]["epochs"] == 0  # it derives, and trains no supernet again
    by_parent = client.get(f"/searches/{start(client, parent=parent, flops_budget='300k')}").json()
    assert by_parent["config"] == successor["config"]


def test_a_search_says_what_it_leaves_and_for_how_long(client: httpx.Client, parent: str) -> None:
    shown = client.get(f"/searches/{parent}").json()
    assert shown["supernet"]["size_bytes"] == len(CONTENT)
    assert shown["supernet"]["kept_until"] > shown["finished_at"]
    assert client.get(f"/searches/{start(client)}").json()["supernet"] is None


def test_what_cannot_be_gone_on_from_is_refused_at_the_field_that_names_it(client: httpx.Client, parent: str) -> None:
    queued = start(client)
    for field, value in (("init", f"search:{queued}"), ("parent", queued)):
        pointer, detail = refused_field(client, {field: value})
        assert pointer == f"/{field}"
        assert f"search {queued} is queued; only one that succeeded can be gone on from" in detail
    assert "no search 'nowhere'" in refused_field(client, {"init": "search:nowhere"})[1]
    pointer, detail = refused_field(client, {"init": f"search:{parent}", "seed": 5})
    assert pointer == "/init"
    assert "seed 5 instead of 0" in detail


def test_a_search_that_another_waits_for_is_not_deleted(client: httpx.Client, parent: str) -> None:
    successor = start(client, parent=parent)
    problem = refusal(client.delete(f"/searches/{parent}"), 409, "state-conflict")
    assert f"search {successor} goes on from search {parent}" in problem["detail"]
    client.post(f"/searches/{successor}/cancel")
    assert client.delete(f"/searches/{parent}").status_code == 204
