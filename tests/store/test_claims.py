"""The life of an attempt, on both databases: claims, beats, endings, and writes with a lost lease."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.progress import Progress
from store.claims import LeaseRow, LeaseStatus
from store.db import now
from store.errors import LeaseLapsed, LeaseLost
from store.leases import Lease
from store.searches import search_result
from store.settings import Settings
from store.states import ExitClass, SearchState, StopReason
from store.stores import Stores
from tests.store.sample_rows import (
    CHECKPOINT,
    CONFIG,
    FILES,
    WRITES,
    architecture,
    claim,
    crash,
    kinds,
    make_due,
    queue_search,
    result,
    save,
    stored_data,
)


def test_the_oldest_queued_search_is_claimed_first(stores: Stores) -> None:
    queued = [queue_search(stores) for _ in range(3)]
    assert [claim(stores).search_id for _ in range(3)] == queued
    assert stores.claims.claim("worker-1") is None


def test_a_claim_based_on_an_outdated_row_is_refused(stores: Stores) -> None:
    """The row lock of PostgreSQL must not be what prevents a double claim: SQLite has none."""
    lease = claim_one(stores)
    with stores.database.session_scope() as session:
        assert stores.claims._take(session, lease, "worker-2", now(session)) is None
    assert stores.searches.get(lease.search_id).owner == "worker-1"


def test_no_two_attempts_get_the_same_fence(stores: Stores) -> None:
    """The search is queued, as the second worker saw it, but there was another attempt in between."""
    lease = claim_one(stores)
    stores.claims.gave_back(lease)
    with stores.database.session_scope() as session:
        assert stores.claims._take(session, lease, "worker-2", now(session)) is None


def test_a_search_paused_just_before_its_claim_stays_paused(stores: Stores) -> None:
    search_id = queue_search(stores)
    stores.control.pause(search_id)
    with stores.database.session_scope() as session:
        assert stores.claims._take(session, Lease(search_id, 1), "worker-1", now(session)) is None
    assert stores.searches.get(search_id).state is SearchState.PAUSED


def test_a_claim_is_an_attempt_with_its_first_beat(stores: Stores, settings: Settings) -> None:
    search_id = queue_search(stores)
    lease = claim(stores, "worker-7")
    search = stores.searches.get(search_id)
    assert (search.state, search.owner, search.fence, search.attempts) == (SearchState.RUNNING, "worker-7", 1, 1)
    assert search.beat_at is not None
    assert search.lease_until is not None
    assert (search.lease_until - search.beat_at).total_seconds() == settings.lease_s
    (attempt,) = stores.searches.attempts(search_id)
    assert (attempt.fence, attempt.owner, attempt.ended_at) == (lease.fence, "worker-7", None)


def test_a_claim_says_how_many_ranks_can_share_the_search(stores: Stores) -> None:
    stores.searches.create(CONFIG.model_copy(update={"batch_parts": 6}), DIGITS)
    queue_search(stores)
    assert [claim(stores).batch_parts for _ in range(2)] == [6, 1]


def test_a_beat_extends_the_lease(stores: Stores) -> None:
    lease = claim_one(stores)
    before = stores.searches.get(lease.search_id).lease_until
    assert stores.claims.beat(lease) is LeaseStatus.HELD
    after = stores.searches.get(lease.search_id).lease_until
    assert before is not None
    assert after is not None
    assert after > before


def test_beats_and_status_reads_return_a_requested_cancel(stores: Stores) -> None:
    lease = claim_one(stores)
    stores.control.cancel(lease.search_id)
    assert stores.claims.beat(lease) is LeaseStatus.CANCEL_WANTED
    assert stores.claims.status(lease) == LeaseRow(LeaseStatus.CANCEL_WANTED)


class TestFinish:
    def test_the_result_its_architecture_and_its_files_are_stored_together(self, stores: Stores) -> None:
        lease = claim_one(stores)
        assert stores.claims.finish(lease, result(), FILES) is SearchState.SUCCEEDED
        search = stores.searches.get(lease.search_id)
        assert search.stop_reason is StopReason.CONVERGED
        assert search.best_arch_id == result().architecture.arch_id
        stored = search_result(search)
        assert stored == replace(result(), comparison={"random_top1_pct": None})  # NaN is stored as null
        artifact = stores.architectures.artifact(result().architecture.arch_id, "safetensors")
        assert artifact is not None
        assert artifact.sha256 == CHECKPOINT.sha256
        sha256s = {artifact.kind: artifact.sha256 for artifact in stores.architectures.artifacts(search.id)}
        assert sha256s == {kind: stored.sha256 for kind, stored in FILES.items()}
        assert stores.searches.attempts(search.id)[0].exit_class is ExitClass.SUCCEEDED

    def test_a_cancel_that_came_first_wins_but_the_files_stay(self, stores: Stores) -> None:
        lease = claim_one(stores)
        stores.control.cancel(lease.search_id)
        assert stores.claims.finish(lease, result(), FILES) is SearchState.CANCELLED
        search = stores.searches.get(lease.search_id)
        assert (search.stop_reason, search.result) == (StopReason.CANCELLED, None)
        assert stores.architectures.artifact(result().architecture.arch_id, "safetensors") is not None

    def test_run_states_are_deleted(self, stores: Stores) -> None:
        lease = claim_one(stores)
        save(stores, lease, 1)
        stores.claims.finish(lease, result(), FILES)
        assert stores.updates.run_states(lease.search_id) == []


def test_a_user_error_fails_the_search_without_a_retry(stores: Stores) -> None:
    lease = claim_one(stores)
    assert stores.claims.fail(lease, "dataset-error", "no images\x00 at all") is SearchState.FAILED
    search = stores.searches.get(lease.search_id)
    assert search.error == {"type": "dataset-error", "detail": "no images at all"}
    assert search.stop_reason is StopReason.ERROR
    assert stores.searches.attempts(search.id)[0].exit_class is ExitClass.REFUSED


def test_a_cancelled_search_keeps_its_best_architecture(stores: Stores) -> None:
    lease = claim_one(stores)
    best = architecture(3, val_top1_pct=91.5)
    stores.updates.architecture(lease, best)
    stores.control.cancel(lease.search_id)
    assert stores.claims.cancelled(lease) is SearchState.CANCELLED
    assert stores.searches.get(lease.search_id).best_arch_id == best.arch_id
    assert stores.architectures.get(best.arch_id).val_top1_pct == 91.5


def test_a_search_cannot_end_cancelled_without_a_request(stores: Stores) -> None:
    lease = claim_one(stores)
    with pytest.raises(LeaseLost):
        stores.claims.cancelled(lease)
    assert stores.searches.get(lease.search_id).state is SearchState.RUNNING


class TestDrain:
    def test_the_search_can_be_claimed_again_at_once_without_penalty(self, stores: Stores) -> None:
        lease = claim_one(stores)
        assert stores.claims.gave_back(lease) is SearchState.QUEUED
        assert stores.searches.get(lease.search_id).crash_streak == 0
        assert claim(stores).fence == lease.fence + 1

    def test_a_cancel_during_the_drain_is_honoured(self, stores: Stores) -> None:
        lease = claim_one(stores)
        stores.control.cancel(lease.search_id)
        assert stores.claims.gave_back(lease) is SearchState.CANCELLED


class TestPause:
    def test_a_search_that_saved_and_exited_is_paused_until_it_is_resumed(self, stores: Stores) -> None:
        lease = claim_one(stores)
        save(stores, lease, 1)
        stores.control.pause(lease.search_id)
        assert stores.claims.beat(lease) is LeaseStatus.PAUSE_WANTED
        assert stores.claims.gave_back(lease) is SearchState.PAUSED
        assert stores.searches.attempts(lease.search_id)[0].exit_class is ExitClass.PAUSED
        assert stores.claims.claim("worker-2") is None
        stores.control.resume(lease.search_id)
        assert claim(stores).fence == 2
        assert [state.step for state in stores.updates.run_states(lease.search_id)] == [1]

    def test_a_search_that_finishes_before_it_notices_the_pause_succeeds(self, stores: Stores) -> None:
        lease = claim_one(stores)
        stores.control.pause(lease.search_id)
        assert stores.claims.finish(lease, result(), FILES) is SearchState.SUCCEEDED

    def test_a_pause_withdrawn_in_time_costs_one_attempt_and_nothing_else(self, stores: Stores) -> None:
        lease = claim_one(stores)
        stores.control.pause(lease.search_id)
        assert stores.control.resume(lease.search_id).state is SearchState.RUNNING
        assert stores.claims.gave_back(lease) is SearchState.QUEUED
        assert stores.searches.get(lease.search_id).crash_streak == 0


class TestOtherVersion:
    def test_the_search_waits_for_a_worker_that_knows_what_it_asks_for(self, stores: Stores) -> None:
        lease = claim_one(stores)
        assert stores.claims.not_understood(lease, "taste is not known here") is SearchState.QUEUED
        search = stores.searches.get(lease.search_id)
        assert (search.crash_streak, search.attempts) == (0, 1)
        (attempt,) = stores.searches.attempts(lease.search_id)
        assert (attempt.exit_class, attempt.detail) == (ExitClass.DRAINED, "taste is not known here")
        assert attempt.ended_at is not None
        assert (search.next_run_at - attempt.ended_at).total_seconds() == pytest.approx(30, abs=0.5)

    def test_it_does_not_wait_for_ever(self, stores: Stores, settings: Settings) -> None:
        search_id = queue_search(stores)
        for attempt in range(1, settings.max_attempts + 1):
            make_due(stores, search_id)
            state = stores.claims.not_understood(claim(stores), "taste is not known here")
            assert state is (SearchState.QUEUED if attempt < settings.max_attempts else SearchState.FAILED)
        error = stores.searches.get(search_id).error
        assert error is not None
        assert error["type"] == "other-version"
        assert error["detail"].startswith(f"none of {settings.max_attempts} attempts had a worker that knows")
        assert error["detail"].endswith("taste is not known here. Upgrade the workers, then resume the search.")

    def test_a_cancel_comes_first(self, stores: Stores) -> None:
        lease = claim_one(stores)
        stores.control.cancel(lease.search_id)
        assert stores.claims.not_understood(lease, "taste") is SearchState.CANCELLED


class TestCrash:
    def test_the_search_waits_twice_as_long_after_each_crash(self, stores: Stores, settings: Settings) -> None:
        search_id = queue_search(stores)
        for expected_s in (settings.crash_backoff_s, 2 * settings.crash_backoff_s):
            stores.claims.crashed(claim(stores), ExitClass.CRASHED, "boom")
            assert stores.claims.claim("worker-1") is None  # it is not due yet
            search = stores.searches.get(search_id)
            ended_at = stores.searches.attempts(search_id)[-1].ended_at
            assert ended_at is not None
            assert (search.next_run_at - ended_at).total_seconds() == pytest.approx(expected_s, abs=0.5)
            make_due(stores, search_id)

    def test_too_many_crashes_in_a_row_fail_the_search_and_list_each_of_them(self, stores: Stores) -> None:
        search_id = queue_search(stores)
        states = [crash(stores, detail) for detail in ("one", "two", "three")]
        assert states == [SearchState.QUEUED, SearchState.QUEUED, SearchState.FAILED]
        error = stores.searches.get(search_id).error
        assert error is not None
        assert error["type"] == "poison"
        for reason in ("attempt 1: crashed: one", "attempt 2: crashed: two", "attempt 3: crashed: three"):
            assert reason in error["detail"]

    def test_a_new_run_state_ends_the_streak(self, stores: Stores) -> None:
        search_id = queue_search(stores)
        crash(stores)
        crash(stores)
        lease = claim(stores)
        save(stores, lease, 1)
        assert stores.claims.crashed(lease, ExitClass.CRASHED, "boom") is SearchState.QUEUED
        assert stores.searches.get(search_id).crash_streak == 1

    def test_saving_the_same_step_again_does_not_end_the_streak(self, stores: Stores) -> None:
        search_id = queue_search(stores)
        for expected in (SearchState.QUEUED, SearchState.QUEUED, SearchState.FAILED):
            lease = claim(stores)
            save(stores, lease, 1)  # only the first one is new
            assert stores.claims.crashed(lease, ExitClass.CRASHED, "boom") is expected
            if expected is SearchState.QUEUED:
                make_due(stores, search_id)

    def test_a_search_that_ran_out_of_memory_twice_is_not_retried(self, stores: Stores) -> None:
        search_id = queue_search(stores)
        assert crash(stores, "too much", ExitClass.OUT_OF_MEMORY) is SearchState.QUEUED
        assert crash(stores, "still too much", ExitClass.OUT_OF_MEMORY) is SearchState.FAILED
        error = stores.searches.get(search_id).error
        assert error is not None
        assert error["type"] == "out-of-memory"
        assert "lower the batch sizes" in error["detail"]

    @pytest.mark.parametrize(
        ("exit_classes", "error_type"),
        [
            ([ExitClass.DISK_FULL] * 3, "disk-full"),
            ([ExitClass.STALLED] * 3, "stalled"),
            ([ExitClass.DISK_FULL, ExitClass.KILLED, ExitClass.DISK_FULL], "poison"),
        ],
    )
    def test_a_streak_of_one_exit_class_determines_the_error_type(
        self, stores: Stores, exit_classes: list[ExitClass], error_type: str
    ) -> None:
        search_id = queue_search(stores)
        for exit_class in exit_classes:
            state = crash(stores, "boom", exit_class)
        assert state is SearchState.FAILED
        error = stores.searches.get(search_id).error
        assert error is not None
        assert error["type"] == error_type

    def test_a_pausing_search_that_crashes_is_paused_and_not_retried(self, stores: Stores) -> None:
        lease = claim_one(stores)
        stores.control.pause(lease.search_id)
        assert stores.claims.crashed(lease, ExitClass.KILLED, "boom") is SearchState.PAUSED
        assert stores.claims.claim("worker-1") is None

    def test_a_cancelling_search_that_crashes_is_cancelled_and_not_retried(self, stores: Stores) -> None:
        lease = claim_one(stores)
        stores.control.cancel(lease.search_id)
        assert stores.claims.crashed(lease, ExitClass.KILLED, "boom") is SearchState.CANCELLED


class TestInterrupted:
    """An attempt whose supervisor could not beat: a machine that slept says nothing about the search."""

    def test_it_is_due_again_at_once_and_counts_as_no_crash(self, stores: Stores) -> None:
        lease = claim_one(stores)
        assert stores.claims.interrupted(lease, "no beat") is SearchState.QUEUED
        search = stores.searches.get(lease.search_id)
        assert (search.crash_streak, search.attempts) == (0, 0)
        assert [attempt.exit_class for attempt in stores.searches.attempts(lease.search_id)] == [ExitClass.LEASE_LOST]
        assert claim(stores) == replace(lease, fence=2)

    def test_many_of_them_do_not_fail_a_search_that_saves_in_between(self, stores: Stores, settings: Settings) -> None:
        search_id = queue_search(stores)
        for step in range(1, settings.max_attempts + 10):
            lease = claim(stores)
            if step % (settings.max_interruptions - 1) == 0:
                save(stores, lease, step)
            assert stores.claims.interrupted(lease, "no beat") is SearchState.QUEUED
        assert stores.searches.get(search_id).crash_streak == 0

    def test_a_search_that_never_saves_fails_in_the_end_and_a_resume_allows_as_many_again(
        self, stores: Stores, settings: Settings
    ) -> None:
        search_id = queue_search(stores)
        for _ in range(2):
            states = [stores.claims.interrupted(claim(stores), "no beat") for _ in range(settings.max_interruptions)]
            assert states == [SearchState.QUEUED] * (settings.max_interruptions - 1) + [SearchState.FAILED]
            error = stores.searches.get(search_id).error
            assert error is not None
            assert error["type"] == "interrupted"
            assert f"{settings.max_interruptions} attempts in a row ended without a new run state" in error["detail"]
            stores.control.resume(search_id)

    def test_crashes_and_lost_leases_are_counted_apart(self, stores: Stores, settings: Settings) -> None:
        search_id = queue_search(stores)
        for _ in range(settings.max_crash_streak - 1):
            crash(stores)
            assert stores.claims.interrupted(claim(stores), "no beat") is SearchState.QUEUED
        assert crash(stores, "the last straw") is SearchState.FAILED
        error = stores.searches.get(search_id).error
        assert error is not None
        assert error["type"] == "poison"
        assert "no beat" not in error["detail"]

    def test_of_a_pausing_or_cancelling_search_it_is_the_end(self, stores: Stores) -> None:
        pausing, cancelling = claim_one(stores), claim_one(stores)
        stores.control.pause(pausing.search_id)
        stores.control.cancel(cancelling.search_id)
        assert stores.claims.interrupted(pausing, "no beat") is SearchState.PAUSED
        assert stores.claims.interrupted(cancelling, "no beat") is SearchState.CANCELLED


class TestRegain:
    """A supervisor that slept with its process: it takes the search back, if no one else has it by then."""

    def test_the_attempt_goes_on_as_if_it_had_not_ended(self, stores: Stores) -> None:
        lease = claim_one(stores)
        save(stores, lease, 1)
        stores.claims.interrupted(lease, "no beat")
        with pytest.raises(LeaseLapsed):
            save(stores, lease, 2)
        assert stores.claims.regain(lease)
        search = stores.searches.get(lease.search_id)
        assert (search.state, search.owner, search.fence, search.attempts) == (SearchState.RUNNING, "worker-1", 1, 1)
        (attempt,) = stores.searches.attempts(lease.search_id)
        assert (attempt.ended_at, attempt.exit_class, attempt.detail) == (None, None, None)
        assert stores.claims.beat(lease) is LeaseStatus.HELD
        save(stores, lease, 2)
        assert kinds(stores, lease.search_id)[-3:] == ["requeued", "lease_regained", "run_state_saved"]
        assert stores.claims.claim("worker-2") is None

    def test_not_once_it_is_claimed(self, stores: Stores) -> None:
        lease = claim_one(stores)
        stores.claims.interrupted(lease, "no beat")
        claim(stores, "worker-2")
        assert not stores.claims.regain(lease)
        assert stores.searches.get(lease.search_id).owner == "worker-2"

    @pytest.mark.parametrize("request_name", ["pause", "cancel"])
    def test_not_once_a_user_stopped_it(self, request_name: str, stores: Stores) -> None:
        lease = claim_one(stores)
        stores.claims.interrupted(lease, "no beat")
        getattr(stores.control, request_name)(lease.search_id)
        assert not stores.claims.regain(lease)
        with pytest.raises(LeaseLost) as lost:
            save(stores, lease, 1)
        assert not isinstance(lost.value, LeaseLapsed)

    @pytest.mark.parametrize("end", ["gave_back", "crashed"])
    def test_not_after_another_end(self, end: str, stores: Stores) -> None:
        lease = claim_one(stores)
        WRITES[end](stores, lease)
        assert not stores.claims.regain(lease)


class TestStaleWriter:
    """A supervisor or search process that lost its lease and does not know it yet."""

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
    def test_it_cannot_touch_the_attempt_that_followed(
        self, stores: Stores, write: Callable[[Stores, Lease], object]
    ) -> None:
        stale = claim_one(stores)
        stores.claims.gave_back(stale)
        claim(stores, "worker-2")
        before = stored_data(stores, stale.search_id)
        with pytest.raises(LeaseLost, match="at attempt 2, owned by worker-2; this is attempt 1"):
            write(stores, stale)
        assert stored_data(stores, stale.search_id) == before

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
    def test_it_cannot_touch_a_final_search(self, stores: Stores, write: Callable[[Stores, Lease], object]) -> None:
        lease = claim_one(stores)
        stores.claims.fail(lease, "dataset-error", "no images")
        before = stored_data(stores, lease.search_id)
        with pytest.raises(LeaseLost, match="is failed"):
            write(stores, lease)
        assert stored_data(stores, lease.search_id) == before

    def test_its_beats_and_status_reads_say_that_the_lease_is_lost(self, stores: Stores) -> None:
        stale = claim_one(stores)
        stores.claims.gave_back(stale)
        claim(stores, "worker-2")
        assert stores.claims.beat(stale) is LeaseStatus.LOST
        assert stores.claims.status(stale) == LeaseRow(LeaseStatus.LOST)

    def test_an_unknown_search_is_named(self, stores: Stores) -> None:
        with pytest.raises(LeaseLost, match="does not exist"):
            stores.updates.event(Lease("nope", 1), EventKind.RESUMED, {})


def claim_one(stores: Stores) -> Lease:
    """Create a search and claim it."""
    queue_search(stores)
    return claim(stores)


def test_an_attempt_exports_once_it_has_said_so_itself(stores: Stores) -> None:
    queue_search(stores)
    lease = claim(stores)
    stores.updates.progress(lease, Progress("training", 0.5))
    assert not stores.claims.status(lease).exporting
    stores.updates.progress(lease, Progress("exporting", 0.9))
    assert stores.claims.status(lease).exporting
    stores.claims.interrupted(lease, "the first attempt ends while it exports")
    lease = claim(stores)
    assert stores.searches.get(lease.search_id).phase == "exporting"
    assert not stores.claims.status(lease).exporting
    stores.updates.progress(lease, Progress("exporting", 0.9))
    assert stores.claims.status(lease).exporting
