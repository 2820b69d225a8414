"""The turn of a check: it ends when its time is over and another check waits, which no free checker takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import delete, update
from sqlalchemy.exc import OperationalError

from store.models import Dataset
from store.settings import Settings
from store.states import DatasetState
from store.stores import Stores, open_stores
from tests.autonl_core.photo_like_images import encoded, packed, photo
from tests.servers import wait_for
from tests.worker.test_checker import STUCK, start
from worker.check_kinds import dataset_checks
from worker.checker import Checker
from worker.turn import LOOK_S, Turn


@pytest.fixture
def settings(settings: Settings) -> Settings:
    quick = {"beat_s": 0.2, "lease_s": 4, "check_poll_s": 0.05, "poll_s": 0.05, "check_turn_s": 0.5}
    return settings.model_copy(update=quick)


@pytest.fixture
def opened(settings: Settings, tmp_path: Path) -> Iterator[Stores]:
    """Stores with two datasets that wait for their checks; `slow` was added first."""
    stores = open_stores(settings)
    files = {f"{label}/{number}.png": encoded(photo(10 * place + number, 16)) for place, label in enumerate("ab")
             for number in range(5)}  # fmt: skip
    for name in ("slow", "pets"):
        stores.datasets.add_path(name, "zip", packed(tmp_path / f"{name}.zip", files))
    yield stores
    stores.close()


def is_ready(stores: Stores, name: str) -> bool:
    return stores.datasets.get(name).state == DatasetState.READY


def ends_after_s(turn: Turn) -> float:
    began = time.monotonic()
    wait_for(turn.is_over, "the turn is over", timeout_s=10)
    return time.monotonic() - began


class TestTurn:
    def test_it_ends_one_look_after_its_time_if_another_check_waits(self) -> None:
        assert 0.2 + LOOK_S <= ends_after_s(Turn(0.2, 0, lambda: True)) < 0.2 + 3 * LOOK_S

    def test_each_is_twice_as_long_as_the_one_before(self) -> None:
        assert [Turn(20, number, lambda: True).length_s for number in range(4)] == [20, 40, 80, 160]

    def test_while_no_other_waits_it_does_not_end(self) -> None:
        turn = Turn(0, 0, lambda: False)
        time.sleep(LOOK_S + 0.1)
        assert not turn.is_over()
        time.sleep(LOOK_S + 0.1)
        assert not turn.is_over()

    def test_without_a_database_it_does_not_end(self) -> None:
        def unavailable() -> bool:
            raise OperationalError("select", {}, Exception("gone"))

        assert not Turn(0, 0, unavailable).is_over()


def test_a_check_that_takes_long_makes_way_and_goes_on_after_the_other(opened: Stores) -> None:
    """One checker, and a first check that would never end: the second dataset is claimed next."""
    checker = Checker(opened, "here", kinds=[dataset_checks(opened, STUCK)])
    began = time.monotonic()
    assert checker.tick(threading.Event())
    assert time.monotonic() - began < 30
    second = opened.checks.claim("another")
    assert second is not None
    assert second.name == "pets"
    again = opened.checks.claim("another")
    assert again is not None
    assert (again.name, again.turn) == ("slow", 1)
    assert opened.datasets.get("slow").state == DatasetState.CHECKING  # it did not count as a crash


def test_the_longest_waiting_check_is_next(opened: Stores) -> None:
    for _ in range(2):
        for name in ("slow", "pets"):
            lease = opened.checks.claim("here")
            assert lease is not None
            assert lease.name == name
            opened.checks.end_turn(lease)


@pytest.mark.long
def test_a_dataset_that_takes_long_holds_no_other(opened: Stores, settings: Settings, tmp_path: Path) -> None:
    """A few kilobytes of images of 64 million pixels each take long to open. Two checks run side by side."""
    images = {f"{label}/{number}.png": _huge_image(number) for number in range(8) for label in "ab"}
    assert opened.datasets.add_path("huge", "zip", packed(tmp_path / "huge.zip", images)).created
    with opened.database.session_scope() as session:
        session.execute(delete(Dataset).where(Dataset.name == "slow"))
        session.execute(
            update(Dataset).where(Dataset.name == "huge").values(waits_since=datetime(2020, 1, 1, tzinfo=UTC))
        )
    side_by_side = settings.model_copy(update={"check_turn_s": 600.0, "checks": 2})
    checker = start(side_by_side)
    try:
        wait_for(lambda: is_ready(opened, "pets"), "the other one is ready", timeout_s=60)
        assert opened.datasets.get("huge").state == DatasetState.CHECKING
        assert opened.datasets.get("huge").progress is not None
        checker.terminate()
        assert checker.wait(20) == 0
    finally:
        checker.kill()
        checker.wait()


def _huge_image(number: int) -> bytes:
    image = Image.new("1", (8000, 8000))
    image.putpixel((number, number), 1)
    return encoded(image)


def test_a_tenant_with_no_check_under_way_comes_before_one_that_has_waited_longer(opened: Stores) -> None:
    opened.tenants.create("other")
    opened.of_tenant("other").datasets.add_path("theirs", "folder", Path("/data/theirs"))
    claimed = [opened.checks.claim("here") for _ in range(3)]
    assert [lease and (lease.tenant_id, lease.name) for lease in claimed] == [
        ("default", "slow"),
        ("other", "theirs"),
        ("default", "pets"),
    ]
