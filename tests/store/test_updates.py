"""Progress updates of a running search, on both databases."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from autonl_core.spec.event_kinds import EventKind
from autonl_core.spec.progress import Progress
from store.errors import AlreadyWritten
from store.leases import Lease
from store.stores import Stores
from tests.store.sample_rows import architecture, claim, kinds, queue_search


def running(stores: Stores) -> Lease:
    """Create a search and claim it."""
    queue_search(stores)
    return claim(stores)


def test_progress_is_replaced_and_only_a_new_phase_is_an_event(stores: Stores) -> None:
    lease = running(stores)
    for progress in (Progress("preparing", 0.0), Progress("searching", 0.1), Progress("searching", 0.2, epoch=3)):
        stores.updates.progress(lease, progress)
    search = stores.searches.get(lease.search_id)
    assert search.phase == "searching"
    assert search.progress is not None
    assert (search.progress["fraction"], search.progress["epoch"]) == (0.2, 3)
    assert kinds(stores, search.id) == ["created", "claimed", "phase", "phase"]


def test_metrics_are_numbered_and_values_that_are_not_finite_are_null(stores: Stores) -> None:
    lease = running(stores)
    stores.updates.metrics(lease, "searching", 1, {"loss": math.nan, "top1_pct": 50.5})
    stores.updates.metrics(lease, "searching", 2, {"loss": math.inf, "top1_pct": 60.0})
    first, second = stores.updates.metrics_after(lease.search_id)
    assert (first.seq, first.values) == (1, {"loss": None, "top1_pct": 50.5})
    assert (second.seq, second.epoch) == (2, 2)
    assert [point.seq for point in stores.updates.metrics_after(lease.search_id, 1)] == [2]


def test_events_are_numbered_without_gaps_and_survive_any_text(stores: Stores) -> None:
    lease = running(stores)
    stores.updates.event(lease, EventKind.UNREADABLE_IMAGES, {"names": ["a\x00b", "\ud800", "ü"], "count": math.nan})
    events = stores.events.after(lease.search_id)
    assert [event.seq for event in events] == [1, 2, 3]
    assert events[-1].detail == {"names": ["ab", "?", "ü"], "count": None}


def test_events_can_be_read_from_a_given_number(stores: Stores) -> None:
    lease = running(stores)
    for number in range(3):
        stores.updates.event(lease, EventKind.CANDIDATES_SCORED, {"count": number})
    assert [event.seq for event in stores.events.after(lease.search_id, 3)] == [4, 5]
    assert [event.seq for event in stores.events.after(lease.search_id, 0, limit=2)] == [1, 2]


def test_an_architecture_that_is_reported_again_keeps_its_earlier_accuracies(stores: Stores) -> None:
    lease = running(stores)
    stores.updates.architecture(lease, architecture(1, val_top1_pct=90.0))
    stores.updates.architecture(lease, architecture(1, test_top1_pct=91.0, trained=True))
    (row,) = stores.architectures.of_search(lease.search_id)
    assert (row.val_top1_pct, row.test_top1_pct, row.trained) == (90.0, 91.0, True)
    assert stores.searches.get(lease.search_id).best_arch_id == row.arch_id


def test_the_most_advanced_run_states_are_kept_over_all_attempts(stores: Stores) -> None:
    search_id = queue_search(stores)
    first = claim(stores)
    for step in (1, 2, 3):
        stores.updates.saved(first, step=step, path=f"1/{step}", sha256="0" * 64, size_bytes=1)
    stores.claims.gave_back(first)
    second = claim(stores)
    stores.updates.saved(second, step=4, path="2/4", sha256="0" * 64, size_bytes=1)
    assert [state.path for state in stores.updates.run_states(search_id)] == ["2/4", "1/3"]


def test_of_an_architecture_that_two_searches_found_the_trained_record_is_returned(stores: Stores) -> None:
    first, second = running(stores), running(stores)
    stores.updates.architecture(first, architecture(1, trained=True))
    stores.updates.architecture(second, architecture(1))
    arch_id = architecture(1).arch_id
    assert stores.architectures.get(arch_id).search_id == first.search_id
    assert stores.architectures.get(arch_id, search_id=second.search_id).trained is False


def test_a_numbered_update_is_stored_once_and_each_attempt_counts_from_one(stores: Stores) -> None:
    first = running(stores)
    stores.updates.event(replace(first, update_number=1), EventKind.RESUMED, {})
    with pytest.raises(AlreadyWritten):
        stores.updates.event(replace(first, update_number=1), EventKind.RESUMED, {})
    stores.claims.gave_back(first)
    stores.updates.event(replace(claim(stores), update_number=1), EventKind.RESUMED, {})
    assert kinds(stores, first.search_id) == ["created", "claimed", "resumed", "requeued", "claimed", "resumed"]
