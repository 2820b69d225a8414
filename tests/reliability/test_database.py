"""A database that drops sessions, is unavailable, or whose replies get lost (cases 9 and 10 of docs/reliability.md)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import make_url

from autonl_core.spec.event_kinds import EventKind
from store.leases import Lease
from store.settings import Settings
from store.states import ExitClass, SearchState
from store.stores import open_stores
from tests.reliability.broker import VolatileBroker
from tests.reliability.conftest import SHORT, Start
from tests.reliability.proxy import FaultProxy
from tests.reliability.service import SEARCH, Service, drop_sessions, has_exited
from tests.reliability.service_history import check_history
from tests.servers import PostgresServer, wait_for
from tests.store.sample_rows import claim, kinds, queue_search
from worker.sink import RowSink
from worker.workspace import Workspace


def test_case_09_sessions_dropped_every_two_seconds(start: Start) -> None:
    """All sessions are terminated every 2 s for 30 s: searches continue their attempts, the API answers 200 or 503."""
    service = start(lease_s=15, ACTOR_STEPS=130, ACTOR_STEP_S=0.2)
    service.start_api()
    service.start_sweeper()
    service.start_worker("first")
    service.start_worker("second")
    running = [service.post() for _ in range(2)]
    for search_id in running:
        service.wait_for_event(search_id, "run_state_saved")
    answers: Counter[int] = Counter()
    stopping = threading.Event()

    def poll() -> None:
        for number in count():
            if stopping.wait(0.02):
                return
            answer = service.client.get(f"/searches/{running[number % 2]}")
            answers[answer.status_code] += 1
            if answer.status_code != 200:
                assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
                assert answer.headers["Content-Type"] == "application/problem+json"

    client = threading.Thread(target=poll)
    client.start()
    began = time.monotonic()
    while time.monotonic() - began < 30:
        time.sleep(2)
        drop_sessions(service.settings.database_url)
    stopping.set()
    client.join()
    assert set(answers) <= {200, 503}
    assert answers[200] > 300
    for search_id in running:
        service.wait_for_state(search_id, SearchState.SUCCEEDED)
        assert len(service.stores.searches.attempts(search_id)) == 1
    check_history(service.stores, running, steps=130)


@pytest.mark.timeout(200)
def test_case_10_database_down_for_longer_than_a_lease(broker: VolatileBroker, tmp_path: Path) -> None:
    """Without beats every search process stops itself in time; afterwards each search runs again at most once."""
    server = PostgresServer()
    server.start()
    settings = Settings(
        data_dir=tmp_path, database_url=server.emptied_database(), broker_url=broker.url(), **(SHORT | {"lease_s": 5})
    )
    service = Service(settings, {"ACTOR_STEPS": "40", "ACTOR_STEP_S": "0.25"})
    try:
        service.start_api()
        for name in ("sweeper-1", "sweeper-2"):
            service.start_sweeper(name)
        for name in ("first", "second"):
            service.start_worker(name)
        running = [service.post() for _ in range(2)]
        for search_id in running:
            service.wait_for_event(search_id, "run_state_saved")
        search_processes = service.search_processes("first") + service.search_processes("second")
        assert len(search_processes) == 2
        server.stop()
        down = time.monotonic()
        answer = service.client.post("/searches", json=SEARCH)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert service.client.get(f"/searches/{running[0]}").status_code == 503
        wait_for(lambda: all(has_exited(process) for process in search_processes), "the search processes exit")
        assert time.monotonic() - down < settings.lease_s
        time.sleep(settings.lease_s + 1)
        server.start()
        up = time.monotonic()
        for search_id in running:
            service.wait_for_event(search_id, "claimed", count=2)
        assert time.monotonic() - up >= settings.lease_s  # sweepers left one lease's time to beat
        for search_id in running:
            service.wait_for_state(search_id, SearchState.SUCCEEDED)
            exits = [attempt.exit_class for attempt in service.stores.searches.attempts(search_id)]
            assert exits == [ExitClass.LEASE_LOST, ExitClass.SUCCEEDED]
        check_history(service.stores, running, steps=40)
    finally:
        service.close()
        server.remove()


def test_a_known_search_is_never_reported_missing_while_the_database_is_unavailable(start: Start) -> None:
    """Never a false 404: a failed lookup does not mean that the search is unknown."""
    service = start()
    service.start_api()
    known = service.post()
    for search_id, expected in ((known, {200, 503}), ("0123456789abcdef", {404, 503})):
        for _ in range(5):
            drop_sessions(service.settings.database_url)
            assert service.client.get(f"/searches/{search_id}").status_code in expected


def test_a_commit_whose_answer_is_lost_is_repeated_and_stored_once(postgres: PostgresServer, tmp_path: Path) -> None:
    proxy = FaultProxy(postgres.port)
    url = make_url(Settings(database_url=postgres.emptied_database()).database_url).set(port=proxy.port)
    settings = Settings(data_dir=tmp_path, database_url=url.render_as_string(hide_password=False))
    stores = open_stores(settings)
    search_id = queue_search(stores)
    lease = claim(stores)
    sink = RowSink(stores, lease, Workspace(settings, search_id), "digits")
    for number in range(3):
        proxy.lose_reply(b"COMMIT")
        sink.event(EventKind.CANDIDATES_SCORED, {"count": number})
        assert proxy.lost.is_set()
        proxy.lose_reply(b"COMMIT")
        sink.metrics("searching", number, {"loss": 1.0})
        assert proxy.lost.is_set()
    assert kinds(stores, search_id) == ["created", "claimed", *["candidates_scored"] * 3]
    assert [point.epoch for point in stores.updates.metrics_after(search_id)] == [0, 1, 2]
    assert Lease(search_id, 1) == lease
    stores.close()
    proxy.close()
