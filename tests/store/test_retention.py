"""Retention: what has ended is deleted after its time, once and completely, and nothing that is still needed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from autonl_core.datasets.check_report import failed_report
from autonl_core.datasets.spec import DIGITS
from autonl_core.spec.config import SearchConfig
from store.errors import NotFound
from store.models import Dataset, Supernet
from store.states import SearchState
from store.stores import Stores, open_stores
from tests.store.sample_rows import CONFIG, FILES, claim, crash, kinds, let_time_pass, queue_search, result, save

DAY_S = 86_400.0


@pytest.fixture
def keeping(stores: Stores) -> Iterator[Stores]:
    """Stores that keep everything for a day after its end."""
    a_day = dict.fromkeys(("search_files_keep_s", "events_keep_s", "refused_keep_s"), DAY_S)
    opened = open_stores(stores.settings.model_copy(update=a_day))
    yield opened
    opened.close()


def finished(stores: Stores, tmp_path: Path, ended_s_ago: float) -> str:
    """A search with files that succeeded."""
    search_id = queue_search(stores)
    lease = claim(stores)
    save(stores, lease, 1)
    stores.updates.metrics(lease, "searching", 1, {"loss": 1.0})
    content = tmp_path / "file"
    content.write_bytes(b"weights")
    for stored in FILES.values():
        stores.artifacts.put(stored.key, content)
    stores.claims.finish(lease, result(), FILES)
    let_time_pass(stores, search_id, ended_s_ago)
    return search_id


def files(stores: Stores, search_id: str) -> int:
    return len(stores.architectures.artifacts(search_id)) + len(stores.updates.run_states(search_id))


def test_by_default_everything_is_kept_for_good(stores: Stores, tmp_path: Path) -> None:
    search_id = finished(stores, tmp_path, 1000 * DAY_S)
    assert not stores.retention.forget_files()
    assert not stores.retention.forget_events()
    assert not stores.retention.refused_datasets()
    assert not stores.retention.refused_weights()
    assert files(stores, search_id) == len(FILES)


def test_files_go_once_their_time_is_over_and_the_result_stays(keeping: Stores, tmp_path: Path) -> None:
    search_id = finished(keeping, tmp_path, 0.9 * DAY_S)
    assert not keeping.retention.forget_files()
    let_time_pass(keeping, search_id, 0.2 * DAY_S)
    assert [gone.search_id for gone in keeping.retention.forget_files()] == [search_id]
    assert files(keeping, search_id) == 0
    for stored in FILES.values():
        with pytest.raises(NotFound):
            keeping.artifacts.open(stored.key)
    assert keeping.searches.get(search_id).result is not None
    last = keeping.events.after(search_id)[-1]
    assert (last.kind, last.detail) == ("files_deleted", {"files": 2, "kept_s": DAY_S})
    assert not keeping.retention.forget_files()  # and no second event


def test_a_search_in_progress_keeps_its_files_however_long_it_takes(keeping: Stores) -> None:
    search_id = queue_search(keeping)
    save(keeping, claim(keeping), 1)
    let_time_pass(keeping, search_id, 0.9 * DAY_S)
    for _ in range(3):
        let_time_pass(keeping, search_id, DAY_S)
        assert not keeping.retention.forget_files()
    assert files(keeping, search_id) == 1


def test_a_search_that_another_one_goes_on_from_keeps_its_files_until_that_has_ended(
    keeping: Stores, tmp_path: Path
) -> None:
    parent = finished(keeping, tmp_path, 2 * DAY_S)
    going_on = SearchConfig.model_validate(CONFIG.to_json() | {"parent": parent})
    with keeping.database.session_scope() as session:
        session.add(Supernet(search_id=parent, key=f"{parent}/1/supernet", sha256="0" * 64, size_bytes=1))
    child = keeping.searches.create(going_on, DIGITS)[0].id
    assert not keeping.retention.forget_files()
    assert not keeping.retention.forget_events()
    keeping.control.cancel(child)
    assert [gone.search_id for gone in keeping.retention.forget_files()] == [parent]


def test_a_failed_search_that_is_resumed_is_not_touched(keeping: Stores) -> None:
    search_id = queue_search(keeping)
    while crash(keeping) != SearchState.FAILED:
        pass
    let_time_pass(keeping, search_id, 2 * DAY_S)
    keeping.control.resume(search_id)
    assert not keeping.retention.forget_events()
    assert "claimed" in kinds(keeping, search_id)


def test_of_the_events_the_last_one_stays_with_its_number(keeping: Stores, tmp_path: Path) -> None:
    search_id = finished(keeping, tmp_path, 2 * DAY_S)
    count = len(kinds(keeping, search_id))
    assert keeping.retention.forget_events() == 1
    (last,) = keeping.events.after(search_id)
    assert (last.kind, last.seq) == ("succeeded", count)
    assert not keeping.updates.metrics_after(search_id)
    assert keeping.retention.forget_events() == 0


def test_refused_datasets_are_named_once_their_time_is_over(keeping: Stores) -> None:
    keeping.datasets.add_path("bad", "folder", Path("/data/bad"))
    keeping.datasets.add_path("new", "folder", Path("/data/new"))
    lease = keeping.checks.claim("checker")
    assert lease is not None
    keeping.checks.finish(lease, None, failed_report("bad", "it is bad"))
    assert not keeping.retention.refused_datasets()
    with keeping.database.session_scope() as session:
        long_ago = keeping.datasets.get("bad").created_at
        assert long_ago is not None
        session.execute(
            update(Dataset).where(Dataset.name == "bad").values(checked_at=long_ago - timedelta(seconds=2 * DAY_S))
        )
    assert keeping.retention.refused_datasets() == [("default", "bad")]
    keeping.datasets.delete("new", if_refused=True)  # it is not: nothing happens
    keeping.datasets.delete("bad", if_refused=True)
    assert [entry.spec.name for entry in keeping.datasets.list()] == ["digits", "new"]
