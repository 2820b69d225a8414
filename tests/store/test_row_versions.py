"""The version of a search changes with everything that GET shows of it, and with nothing else; on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import delete, text, update

from api.search_responses import KeptBodies, SearchResponses
from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.progress import Progress
from store.artifacts import StoredFile
from store.errors import SearchChanged
from store.leases import Lease
from store.models import Attempt, Search, Supernet
from store.stores import Stores
from tests.store import sample_rows as samples
from tests.store.sample_rows import claim, queue_search

SUPERNET = StoredFile("a/1/supernet", "3" * 64, 1000)
SEVERAL = SearchConfig(dataset="digits", flops_budget=400_000, flops_budgets=(400_000, 300_000))

# What is shown afterwards is something else.
SHOWN: dict[str, Callable[[Stores, Lease], object]] = {
    "progress": lambda stores, lease: stores.updates.progress(lease, Progress("searching", 0.9)),
    "a run state": lambda stores, lease: samples.save(stores, lease, 9),
    "an architecture": lambda stores, lease: stores.updates.architecture(lease, samples.architecture(5)),
    "a measured architecture": lambda stores, lease: stores.updates.architecture(
        lease, samples.architecture(val_top1_pct=50.0)
    ),
    "a checkpoint": lambda stores, lease: stores.updates.checkpoint(lease, samples.architecture(), samples.CHECKPOINT),
    "a supernet": lambda stores, lease: stores.updates.supernet(lease, SUPERNET),
    "a request to cancel": lambda stores, lease: stores.control.cancel(lease.search_id),
    "a request to pause": lambda stores, lease: stores.control.pause(lease.search_id),
    "a result": lambda stores, lease: stores.claims.finish(lease, samples.result(), samples.FILES),
    "a failure": lambda stores, lease: stores.claims.fail(lease, "space-error", "too late"),
    "the end of the attempt": lambda stores, lease: stores.claims.gave_back(lease),
    "SQL of whatever version": lambda stores, lease: execute(
        stores, "UPDATE attempts SET detail = 'seen' WHERE search_id = :id", lease
    ),
}
HIDDEN: dict[str, Callable[[Stores, Lease], object]] = {
    "a beat": lambda stores, lease: stores.claims.beat(lease),
    "metrics": lambda stores, lease: stores.updates.metrics(lease, "searching", 1, {"loss": 0.0}),
    "a log": lambda stores, lease: stores.claims.attach_log(lease, "printed"),
    "a row that is written as it was": lambda stores, lease: execute(
        stores, "UPDATE searches SET state = state, fence = fence WHERE id = :id", lease
    ),
}


def execute(stores: Stores, statement: str, lease: Lease) -> None:
    with stores.database.session_scope() as session:
        session.execute(text(statement), {"id": lease.search_id})


def shown(stores: Stores, search_id: str) -> tuple[str, bytes]:
    """The entity tag and the body of GET, from rows."""
    response = SearchResponses(stores, KeptBodies()).get(search_id, None)
    return response.headers["ETag"], bytes(response.body)


@pytest.fixture
def lease(stores: Stores) -> Lease:
    queue_search(stores)
    lease = claim(stores)
    stores.updates.architecture(lease, samples.architecture())
    return lease


@pytest.mark.parametrize("change", SHOWN)
def test_what_changes_the_view_changes_the_version(stores: Stores, lease: Lease, change: str) -> None:
    before, version = shown(stores, lease.search_id), stores.searches.version(lease.search_id).version
    SHOWN[change](stores, lease)
    after = shown(stores, lease.search_id)
    assert after[1] != before[1]
    assert after[0] != before[0]
    assert stores.searches.version(lease.search_id).version > version
    with pytest.raises(SearchChanged):
        stores.control.cancel(lease.search_id, {version})


@pytest.mark.parametrize("change", HIDDEN)
def test_what_is_not_shown_does_not(stores: Stores, lease: Lease, change: str) -> None:
    before = shown(stores, lease.search_id)
    HIDDEN[change](stores, lease)
    assert shown(stores, lease.search_id) == before


def test_what_is_kept_for_the_next_reader_is_what_a_new_reader_sees(stores: Stores, lease: Lease) -> None:
    kept = SearchResponses(stores, KeptBodies())
    for change in SHOWN.values():
        kept.get(lease.search_id, None)
        if stores.searches.get(lease.search_id).state.final or stores.searches.get(lease.search_id).state != "running":
            break
        change(stores, lease)
        assert bytes(kept.get(lease.search_id, None).body) == shown(stores, lease.search_id)[1]


def test_a_supernet_that_is_deleted_changes_it(stores: Stores, lease: Lease) -> None:
    stores.updates.supernet(lease, SUPERNET)
    before = shown(stores, lease.search_id)
    with stores.database.session_scope() as session:
        session.execute(delete(Supernet))
    assert shown(stores, lease.search_id)[0] != before[0]


def test_a_search_for_another_budget_changes_the_tag_but_not_the_version_of_the_row(stores: Stores) -> None:
    """Another search ended, and this one shows it; who acts on this one need not read it again."""
    first, _ = stores.searches.create(SEVERAL, DIGITS)
    lease = claim(stores)
    stores.updates.supernet(lease, SUPERNET)
    other = next(one for one in stores.searches.of_all_budgets(stores.searches.get(first.id)) if one.id != first.id)
    before, version = shown(stores, first.id), stores.searches.version(first.id)
    stores.control.cancel(other.id)
    after = shown(stores, first.id)
    assert (after[0] != before[0], after[1] != before[1]) == (True, True)
    assert stores.searches.version(first.id).version == version.version


def test_relations_are_taken_from_the_configuration_by_the_database(stores: Stores) -> None:
    """Also of rows that an earlier version of the API inserts, which does not know these columns."""
    config = SearchConfig(dataset="digits", flops_budget=400_000, repeat=2)
    first, _ = stores.searches.create(config, DIGITS)
    repeats = stores.searches.repeats(first.id)
    assert [one.first_repeat for one in repeats] == [first.id, first.id]
    single = stores.searches.get(queue_search(stores))
    assert (single.parent, single.family, single.first_repeat) == (None, None, None)
    several, _ = stores.searches.create(SEVERAL, DIGITS)
    assert stores.searches.get(several.id).family == several.id


def test_a_deletion_of_a_search_takes_what_belongs_to_it(stores: Stores, lease: Lease) -> None:
    stores.updates.supernet(lease, SUPERNET)
    stores.claims.finish(lease, samples.result(), samples.FILES)
    stores.searches.delete(lease.search_id)
    with stores.database.session_scope() as session:
        assert session.query(Attempt).count() == session.query(Search).count() == 0


def test_an_update_that_touches_many_searches_raises_each(stores: Stores) -> None:
    ids = [queue_search(stores) for _ in range(3)]
    with stores.database.session_scope() as session:
        session.execute(update(Search).where(Search.id.in_(ids[:2])).values(saved_step=5))
    assert [stores.searches.version(one).version for one in ids] == [2, 2, 1]
