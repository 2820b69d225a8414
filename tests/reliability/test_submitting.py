"""Repeated requests and lost responses (case 18 of docs/reliability.md).

Hostile requests, case 19, are in tests/api/test_hostile_input.py and tests/fuzz.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from store.search_lists import SearchFilter
from tests.reliability.conftest import Start
from tests.reliability.proxy import FaultProxy
from tests.reliability.service import SEARCH


def test_case_18_ten_at_once_with_one_key(start: Start) -> None:
    """The same request ten times at the same moment: one search, whose id every response contains."""
    service = start()
    service.start_api()
    with ThreadPoolExecutor(10) as clients:
        headers = {"Idempotency-Key": "the-same"}
        answers = list(clients.map(lambda _: service.client.post("/searches", json=SEARCH, headers=headers), range(10)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert len(service.stores.searches.list(SearchFilter()).searches) == 1


def test_case_18_killed_after_the_commit(start: Start) -> None:
    """The API dies between its commit and its response: the repeated request returns the accepted search."""
    service = start()
    service.start_api()
    proxy = FaultProxy(service.client.base_url.port or 0)
    headers = {"Idempotency-Key": "the-same"}
    with httpx.Client(base_url=f"http://127.0.0.1:{proxy.port}", timeout=20) as client:
        proxy.lose_reply(b"202 Accepted")
        with pytest.raises(httpx.TransportError):
            client.post("/searches", json=SEARCH, headers=headers)
        service.kill("api")
        (accepted,) = service.stores.searches.list(SearchFilter()).searches
        service.start_api()
        again = client.post("/searches", json=SEARCH, headers=headers)
        assert (again.status_code, again.json()["id"]) == (202, accepted.id)
        assert len(service.stores.searches.list(SearchFilter()).searches) == 1
        other = client.post("/searches", json=SEARCH | {"seed": 1}, headers=headers)
        assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reuse")
    proxy.close()
