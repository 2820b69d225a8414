"""Dataset checks, on both databases: one checker at a time, dead ones replaced, a limit on crashes."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier, Thread

import pytest

from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.spec import DIGITS
from store.checks import CheckLease
from store.errors import LeaseLost
from store.states import DatasetState
from store.stores import Stores
from tests.store.sample_rows import expire_check_leases


@pytest.fixture
def waiting(stores: Stores) -> Stores:
    """The stores, with one dataset that waits for its check."""
    stores.datasets.add_path("pets", "folder", Path("/data/pets"))
    return stores


def claim(stores: Stores, owner: str = "checker") -> CheckLease:
    lease = stores.checks.claim(owner)
    assert lease is not None
    return lease


def test_the_oldest_dataset_is_checked_first_and_once(waiting: Stores) -> None:
    waiting.datasets.add_path("cats", "folder", Path("/data/cats"))
    assert [claim(waiting).name, claim(waiting).name] == ["pets", "cats"]
    assert waiting.checks.claim("checker") is None


def test_many_checkers_claim_each_dataset_once(waiting: Stores) -> None:
    for number in range(5):
        waiting.datasets.add_path(f"more-{number}", "folder", Path("/data/more"))
    claims: list[CheckLease | None] = []
    barrier = Barrier(4)

    def take(owner: str) -> None:
        barrier.wait()
        claims.extend(waiting.checks.claim(owner) for _ in range(3))

    threads = [Thread(target=take, args=(f"checker-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [lease.name for lease in claims if lease is not None]
    assert sorted(names) == sorted(set(names))
    assert len(names) == 6


def test_progress_is_stored_until_the_check_is_closed(waiting: Stores) -> None:
    lease = claim(waiting)
    waiting.checks.beat(lease, 0.5)
    assert waiting.datasets.get("pets").progress == 0.5
    found = DatasetReport()
    found.add("error", "empty", "there are no images\x00")
    waiting.checks.finish(lease, None, found)
    entry = waiting.datasets.get("pets")
    assert (entry.state, entry.progress) == (DatasetState.INVALID, None)
    assert entry.report is not None
    assert [(problem.code, problem.detail) for problem in entry.report.problems] == [("empty", "there are no images")]


def test_a_checker_that_falls_silent_loses_its_lease_and_can_no_longer_write(waiting: Stores) -> None:
    old = claim(waiting)
    expire_check_leases(waiting)
    new = claim(waiting, "another")
    assert new.fence == old.fence + 1
    for late_write in (
        lambda: waiting.checks.beat(old),
        lambda: waiting.checks.finish(old, DIGITS, DatasetReport()),
        lambda: waiting.checks.crashed(old, "it fell over"),
        lambda: waiting.checks.give_back(old),
        lambda: waiting.checks.entry(old),
    ):
        with pytest.raises(LeaseLost):
            late_write()
    waiting.checks.beat(new)


def test_a_check_that_keeps_crashing_is_closed_as_invalid_with_the_reason(waiting: Stores) -> None:
    limit = waiting.settings.max_crash_streak
    for number in range(limit):
        lease = claim(waiting)
        state = waiting.checks.crashed(lease, f"it fell over for the {number}th time")
        assert (state == DatasetState.INVALID) == (number == limit - 1)
        if state == DatasetState.CHECKING:
            assert waiting.checks.claim("checker") is None  # the retry waits for the backoff
            expire_check_leases(waiting)
    report = waiting.datasets.get("pets").report
    assert report is not None
    (problem,) = report.problems
    assert (problem.severity, problem.code) == ("error", "check_failed")
    assert f"failed {limit} times, the last time because it fell over for the {limit - 1}th time" in problem.detail


def test_a_dataset_that_kills_its_checkers_is_closed_as_invalid(waiting: Stores) -> None:
    for _ in range(waiting.settings.max_crash_streak):
        claim(waiting)
        expire_check_leases(waiting)
    assert waiting.checks.claim("checker") is None
    assert waiting.datasets.get("pets").state == DatasetState.INVALID


def test_a_check_that_is_given_back_can_be_claimed_at_once_and_does_not_count_as_a_crash(waiting: Stores) -> None:
    for _ in range(2 * waiting.settings.max_crash_streak):
        waiting.checks.give_back(claim(waiting))
    waiting.checks.finish(claim(waiting), DIGITS, DatasetReport())
    assert waiting.datasets.get("pets").state == DatasetState.READY
