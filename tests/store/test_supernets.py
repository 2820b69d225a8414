"""Supernets that finished searches left: what can be gone on from, and for how long, on both databases."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from autonl_core.datasets.spec import DIGITS
from autonl_core.errors import ParentError
from autonl_core.spec.config import SearchConfig
from store import events
from store.errors import ArtifactError, LeaseLost, NotFound, StartChanged, StateConflict
from store.leases import Lease
from store.stores import Stores
from tests.store.sample_rows import CONFIG, FILES, claim, kinds, let_time_pass, queue_search, result

CONTENT = b"weights"
DAY_S = 86_400.0


def keep(stores: Stores, lease: Lease, folder: Path, content: bytes = CONTENT) -> str:
    """Store a supernet as a running search does; returns its key."""
    path = folder / "supernet.safetensors"
    path.write_bytes(content)
    stored = stores.artifacts.put(f"{lease.search_id}/{lease.fence}/{path.name}", path)
    stores.updates.supernet(lease, stored)
    return stored.key


@pytest.fixture
def parent(stores: Stores, tmp_path: Path) -> str:
    """A search that succeeded and left its supernet."""
    search_id = queue_search(stores)
    lease = claim(stores)
    keep(stores, lease, tmp_path)
    stores.claims.finish(lease, result(), FILES)
    return search_id


def successor_of(stores: Stores, search_id: str) -> str:
    config = SearchConfig.model_validate(CONFIG.to_json() | {"parent": search_id})
    return stores.searches.create(config, DIGITS)[0].id


def test_a_finished_search_can_be_gone_on_from(stores: Stores, parent: str, tmp_path: Path) -> None:
    found = stores.supernets.parent(parent)
    assert (found.id, found.config, found.dataset_fingerprint) == (parent, CONFIG, DIGITS.fingerprint)
    assert found.teacher_resolution is None
    stores.supernets.fetch(parent, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT
    assert kinds(stores, parent) == ["created", "claimed", "supernet_kept", "succeeded"]


def test_a_search_that_is_unknown_or_not_finished_cannot(stores: Stores, tmp_path: Path) -> None:
    with pytest.raises(ParentError, match="no search 'nowhere'; GET /searches lists them"):
        stores.supernets.parent("nowhere")
    search_id = queue_search(stores)
    keep(stores, claim(stores), tmp_path)
    with pytest.raises(ParentError, match=f"search {search_id} is running; only one that succeeded .* wait until"):
        stores.supernets.parent(search_id)


def test_a_search_that_left_nothing_cannot_and_the_reason_is_named(stores: Stores) -> None:
    search_id = queue_search(stores)
    stores.claims.finish(claim(stores), result(), FILES)
    with pytest.raises(ParentError, match=r"is not kept: it was too large, .* or older than 30 days; start without it"):
        stores.supernets.parent(search_id)
    unwanted = SearchConfig.model_validate(CONFIG.to_json() | {"keep_supernet": False})
    search_id = stores.searches.create(unwanted, DIGITS)[0].id
    stores.claims.finish(claim(stores), result(), {})
    with pytest.raises(ParentError, match="as its `keep_supernet` asked for"):
        stores.supernets.parent(search_id)


def test_an_attempt_that_lost_its_search_keeps_nothing(stores: Stores, tmp_path: Path) -> None:
    search_id = queue_search(stores)
    lease = claim(stores)
    stale = Lease(search_id, lease.fence - 1)
    with pytest.raises(LeaseLost):
        keep(stores, stale, tmp_path)
    assert stores.supernets.get(search_id) is None


def test_a_later_attempt_replaces_what_an_earlier_one_kept(stores: Stores, tmp_path: Path) -> None:
    search_id = queue_search(stores)
    lease = claim(stores)
    keep(stores, lease, tmp_path, b"first")
    stores.claims.gave_back(lease)
    keep(stores, claim(stores), tmp_path, b"second")
    stores.supernets.fetch(search_id, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"second"


def test_a_damaged_file_is_noticed(stores: Stores, parent: str, tmp_path: Path) -> None:
    supernet = stores.supernets.get(parent)
    assert supernet is not None
    other = tmp_path / "other"
    other.write_bytes(b"something else")
    stores.artifacts.put(supernet.key, other, replace=True)
    with pytest.raises(ArtifactError, match=f"the supernet of search {parent} is damaged"):
        stores.supernets.fetch(parent, tmp_path / "copy")


def test_it_is_deleted_when_its_time_is_over(stores: Stores, parent: str, tmp_path: Path) -> None:
    supernet = stores.supernets.get(parent)
    assert supernet is not None
    let_time_pass(stores, parent, 29 * DAY_S)
    assert stores.supernets.delete_old() == 0
    let_time_pass(stores, parent, 2 * DAY_S)
    assert stores.supernets.delete_old() == 1
    assert stores.supernets.get(parent) is None
    with pytest.raises(NotFound):
        stores.artifacts.open(supernet.key)
    with pytest.raises(NotFound, match="was deleted since this search was accepted"):
        stores.supernets.fetch(parent, tmp_path / "copy")


def test_while_a_search_needs_it_it_stays_and_so_does_its_search(stores: Stores, parent: str) -> None:
    successor = successor_of(stores, parent)
    let_time_pass(stores, parent, 31 * DAY_S)
    assert stores.supernets.delete_old() == 0
    with pytest.raises(StateConflict, match=f"search {successor} goes on from search {parent}; cancel it"):
        stores.searches.delete(parent)
    stores.control.cancel(successor)
    assert stores.supernets.delete_old() == 1
    stores.searches.delete(parent)


def test_it_goes_with_its_search(stores: Stores, parent: str) -> None:
    stores.searches.delete(parent)
    assert stores.supernets.get(parent) is None


def test_the_supernet_of_a_search_that_goes_on_is_never_old(stores: Stores, tmp_path: Path) -> None:
    search_id = queue_search(stores)
    keep(stores, claim(stores), tmp_path)
    let_time_pass(stores, search_id, 365 * DAY_S)
    assert stores.supernets.delete_old() == 0


def test_it_is_not_deleted_while_a_search_that_goes_on_from_it_is_being_created(
    stores: Stores, parent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_time_pass(stores, parent, 31 * DAY_S)
    append = events.append
    with ThreadPoolExecutor(2) as pool:
        deleting: list[Future[Any]] = []

        def meanwhile(*args: Any) -> None:
            if not deleting:
                deleting.append(pool.submit(stores.supernets.delete_old))
                deleting.append(pool.submit(stores.searches.delete, parent))
                time.sleep(0.3)  # long enough for a delete that does not wait for the lock
            append(*args)

        monkeypatch.setattr(events, "append", meanwhile)
        successor = successor_of(stores, parent)
        assert deleting[0].result() == 0
        with pytest.raises(StateConflict, match=f"search {successor} goes on from"):
            deleting[1].result()
    assert stores.supernets.get(parent) is not None


def test_a_search_does_not_begin_on_what_was_deleted_after_its_validation(stores: Stores, parent: str) -> None:
    let_time_pass(stores, parent, 31 * DAY_S)
    stores.supernets.delete_old()
    with pytest.raises(StartChanged, match=f"the supernet of search '{parent}' was deleted in the meantime"):
        successor_of(stores, parent)
    with pytest.raises(StartChanged, match="weight set 'mine' was deleted in the meantime"):
        stores.searches.create(SearchConfig.model_validate(CONFIG.to_json() | {"init": "mine"}), DIGITS)
