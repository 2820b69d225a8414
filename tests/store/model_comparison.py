"""Applies each operation on searches to the real stores and to the model, and compares their answers."""

from __future__ import annotations

import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.progress import Phase, Progress
from store.artifacts import StoredFile
from store.claims import LeaseStatus
from store.db import now
from store.errors import IdempotencyConflict, LeaseLost, StateConflict
from store.leases import Lease
from store.states import ExitClass, SearchState
from store.stores import Stores
from tests.store.database_history import all_rows, check_history, check_prediction
from tests.store.lifecycle_model import LEASE_S, NEXT_STATES, Expected, World
from tests.store.sample_rows import (
    CONFIG,
    WRITES,
    architecture,
    delete_all_searches,
    let_time_pass,
    result,
    save,
    stored_data,
)

RESULT, BEST, SECOND_BEST = result(), architecture(1), architecture(2)
LEASE_STATUSES = {
    SearchState.RUNNING: LeaseStatus.HELD,
    SearchState.PAUSING: LeaseStatus.PAUSE_WANTED,
    SearchState.CANCELLING: LeaseStatus.CANCEL_WANTED,
}


class StoresAndModel:
    """The stores, without any search at first, and the model of what they should contain."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.world = World()
        self.leases: list[Lease] = []  # all that were ever granted
        self._states: dict[str, SearchState] = {}  # at the last check
        self._files = 0
        delete_all_searches(stores)

    def holder(self, lease: Lease) -> Expected | None:
        """The search that `lease` still holds; None if the lease is lost."""
        search = self.world.find(lease.search_id)
        return search if search is not None and search.fence == lease.fence and search.claimed else None

    def check(self) -> None:
        """Check that every row is as predicted, has a valid history, and reached its state in one allowed step."""
        rows = all_rows(self.stores)
        assert rows.keys() == {search.id for search in self.world.searches}
        for search in self.world.searches:
            check_history(rows[search.id])
            check_prediction(rows[search.id], search)
            before, state = self._states.get(search.id, SearchState.QUEUED), rows[search.id].search.state
            assert state == before or state in NEXT_STATES[before]
            self._states[search.id] = state

    # Users ------------------------------------------------------------------------------------------------------------

    def submit(self, key: str | None, body: str) -> None:
        known = self.world.known(key)
        if known is not None and known.body != body:
            with pytest.raises(IdempotencyConflict):
                self.stores.searches.create(CONFIG, DIGITS, idempotency_key=key, body_sha256=body)
            return
        search, created = self.stores.searches.create(CONFIG, DIGITS, idempotency_key=key, body_sha256=body)
        assert created == (known is None)
        if known is None:
            self.world.submit(search.id, key, body)
        else:
            assert search.id == known.id

    def ask(self, search: Expected, request: str) -> None:
        """Cancel, pause, resume or delete the search; a request that is not allowed must be refused."""
        before, control = search.state, self.stores.control
        if request == "delete":
            self._delete(search)
            return
        if request == "cancel":
            allowed, ask = search.cancel(), control.cancel
        elif request == "pause":
            allowed, ask = search.pause(), control.pause
        else:
            allowed, ask = search.resume(self.world.clock_s), control.resume
        if allowed:
            assert ask(search.id).state is search.state
        else:
            with pytest.raises(StateConflict) as conflict:
                ask(search.id)
            assert conflict.value.state == before

    def _delete(self, search: Expected) -> None:
        if search.final:
            self.stores.searches.delete(search.id)
            self.world.searches.remove(search)
        else:
            with pytest.raises(StateConflict):
                self.stores.searches.delete(search.id)

    # Workers ----------------------------------------------------------------------------------------------------------

    def claim(self, owner: str) -> Lease | None:
        due = self.world.first_due()
        lease = self.stores.claims.claim(owner)
        assert lease == (due and Lease(due.id, due.fence + 1))
        if lease is not None and due is not None:
            self.leases.append(lease)
            due.be_claimed(self.world.clock_s)
        return lease

    def take(self, lease: Lease) -> None:
        """The second half of a claim, by a worker that was delayed after it saw the search due."""
        search = self.world.find(lease.search_id)
        with self.stores.database.session_scope() as session:
            taken = self.stores.claims._take(session, lease, "worker-late", now(session))
        is_unchanged = search is not None and search.state == SearchState.QUEUED and search.fence == lease.fence - 1
        assert (taken is not None) == is_unchanged
        if search is not None and taken is not None:
            self.leases.append(lease)
            search.be_claimed(self.world.clock_s)

    def beat(self, lease: Lease) -> None:
        search = self.holder(lease)
        status = LEASE_STATUSES[search.state] if search is not None else LeaseStatus.LOST
        assert self.stores.claims.status(lease).status is status
        assert self.stores.claims.beat(lease) is status
        if search is not None:
            search.lease_until_s = self.world.clock_s + LEASE_S

    def regain(self, lease: Lease) -> None:
        search = self.world.find(lease.search_id)
        is_the_last = search is not None and search.fence == lease.fence
        expected = is_the_last and search is not None and search.regain(self.world.clock_s)
        assert self.stores.claims.regain(lease) == expected

    def update(self, lease: Lease, update: str) -> None:
        """Write a progress update: a phase, an architecture (with a checkpoint if it is the best kept), a run state."""
        search, updates = self._held_by(lease), self.stores.updates
        if update == "saved":
            search.save()
            save(self.stores, lease, len(search.saved))
        elif update == "best kept":
            search.best_arch_id = BEST.arch_id
            search.log("best_kept")
            updates.checkpoint(lease, BEST, self._new_file(lease))
        elif update == "architecture":
            search.best_arch_id = SECOND_BEST.arch_id
            search.log("architecture")
            updates.architecture(lease, SECOND_BEST)
        else:
            phase: Phase = "preparing" if update == "preparing" else "searching"
            search.report_phase(phase)
            updates.progress(lease, Progress(phase, 0.5))
            updates.metrics(lease, phase, 1, {"loss": 0.5})

    def end(self, lease: Lease, ending: str) -> None:
        """End an attempt as `ending` says; the name of an exit class is a crash of that class, or a lost lease."""
        search, clock_s, claims = self._held_by(lease), self.world.clock_s, self.stores.claims
        if ending == "finish":
            search.finish(RESULT.architecture.arch_id)
            state = claims.finish(lease, RESULT, {"safetensors": self._new_file(lease)})
        elif ending == "fail":
            search.fail("dataset-error")
            state = claims.fail(lease, "dataset-error", "no images")
        elif ending == "give back":
            search.give_back(clock_s)
            state = claims.gave_back(lease)
        elif ending == "stop for a cancel":
            if search.state != SearchState.CANCELLING:
                with pytest.raises(LeaseLost):  # no cancel was requested
                    claims.cancelled(lease)
                return
            search.give_back(clock_s)
            state = claims.cancelled(lease)
        else:
            if ending == ExitClass.LEASE_LOST:
                search.interrupt(clock_s)
                state = claims.interrupted(lease, "no beat")
                assert state is search.state
                return
            search.crash(ExitClass(ending), clock_s)
            state = claims.crashed(lease, ExitClass(ending), "boom")
        assert state is search.state

    def write_too_late(self, lease: Lease, name: str) -> None:
        before = stored_data(self.stores, lease.search_id)
        with pytest.raises(LeaseLost):
            WRITES[name](self.stores, lease)
        assert stored_data(self.stores, lease.search_id) == before

    def log_stale_write(self, lease: Lease) -> None:
        """What a worker does after its write was refused; by then the search may have moved on, or ended."""
        self.stores.events.stale_write(lease, "saved")
        search = self.world.find(lease.search_id)
        if search is not None and search.fence > lease.fence and not search.final:
            search.log("stale_write_refused")

    # Time, and the sweeper --------------------------------------------------------------------------------------------

    def wait(self, seconds: int) -> None:
        self.world.clock_s += seconds
        for search in self.world.searches:
            let_time_pass(self.stores, search.id, seconds)

    def sweep(self) -> None:
        stale = [search for search in self.world.searches if search.is_stale(self.world.clock_s)]
        for search in stale:
            search.interrupt(self.world.clock_s)
        swept = {swept.lease: swept.state for swept in self.stores.sweeps.sweep()}
        assert swept == {Lease(search.id, search.fence): search.state for search in stale}

    def notify(self) -> None:
        due = [search for search in self.world.searches if search.notify(self.world.clock_s)]
        assert self.stores.sweeps.due_notifications().total() == len(due)

    # ------------------------------------------------------------------------------------------------------------------

    def _held_by(self, lease: Lease) -> Expected:
        search = self.holder(lease)
        assert search is not None
        return search

    def _new_file(self, lease: Lease) -> StoredFile:
        self._files += 1
        return StoredFile(f"{lease.search_id}/{lease.fence}/{self._files}.safetensors", "0" * 64, 10)
