"""The disk reserve: uploads stop before the disk is full, and a full database is called what it is."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from store.db import Database, is_full
from store.settings import Settings
from tests.api.http_service import refusal
from tests.api.test_uploads import archive, left, pieces, send

FREE_BYTES, RESERVE_BYTES = 3_000_000, 1_000_000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"disk_reserve_bytes": RESERVE_BYTES})


@pytest.fixture
def _small_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk of 3 MB that holds nothing but what is in the folder of datasets."""
    usage = shutil.disk_usage(settings.data_dir)

    def of_small_disk(folder: Path) -> object:
        used = sum(path.stat().st_size for path in settings.datasets_dir.glob("*"))
        return usage._replace(free=FREE_BYTES - used)

    monkeypatch.setattr(shutil, "disk_usage", of_small_disk)


@pytest.mark.usefixtures("_small_disk")
class TestUploads:
    def test_one_that_would_touch_the_reserve_is_refused_before_it_is_read(
        self, client: httpx.Client, settings: Settings
    ) -> None:
        content = archive() + bytes(2_000_001)
        problem = refusal(send(client, "shapes", content), 507, "insufficient-storage")
        assert f"3,000,000 bytes are free, {len(content):,} needed beside the reserve of 1,000,000" in problem["detail"]
        assert "AUTONL_DISK_RESERVE_BYTES=1,000,000: free space there" in problem["detail"]
        said = problem["free_bytes"], problem["needed_bytes"], problem["reserve_bytes"]
        assert said == (FREE_BYTES, len(content), RESERVE_BYTES)
        assert left(settings) == set()

    def test_one_of_unknown_length_stops_at_the_reserve(self, client: httpx.Client, settings: Settings) -> None:
        many = pieces(archive() + bytes(10_000_000), 100_000)
        problem = refusal(send(client, "shapes", many), 507, "insufficient-storage")
        assert RESERVE_BYTES <= problem["free_bytes"] < FREE_BYTES
        assert left(settings) == set()

    def test_one_that_leaves_the_reserve_is_stored(self, client: httpx.Client) -> None:
        assert send(client, "shapes", archive()).status_code == 202


@pytest.fixture
def _database_cannot_grow() -> Iterator[None]:
    """As on a full disk: no page is added to any database that is opened."""

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # taken as the number that it has

    event.listen(Engine, "connect", limit)
    yield
    event.remove(Engine, "connect", limit)


class TestDatabase:
    @pytest.mark.usefixtures("_database_cannot_grow")  # before the client
    def test_a_full_disk_is_called_so_and_not_an_unavailable_database(self, client: httpx.Client) -> None:
        answers = [client.post("/searches", json={"dataset": "digits", "flops_budget": "300k"}) for _ in range(40)]
        problem = refusal(answers[-1], 507, "insufficient-storage")
        assert problem["detail"].startswith("the disk of the database is full; nothing was changed. Free space on it")
        assert {answer.status_code for answer in answers} <= {202, 507}
        assert client.get("/searches").status_code == 200

    @pytest.mark.usefixtures("_database_cannot_grow")
    def test_other_errors_of_the_database_do_not_count_as_a_full_disk(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path / 'small.db'}")
        errors = []
        for statement in ("create table big (content blob)", "select * from missing"):
            with pytest.raises(OperationalError) as raised, database.session_scope() as session:
                session.execute(text(statement))
            errors.append(raised.value)
        assert [is_full(error) for error in errors] == [True, False]
        database.close()
