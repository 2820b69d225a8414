"""Changing the labels of searches, on both databases."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from sqlalchemy import select

from autonl_core.datasets.spec import DIGITS
from store.errors import NotFound, SearchChanged, TooManyLabels
from store.models import SearchLabel
from store.search_lists import SearchFilter
from store.stores import Stores
from tests.store.sample_rows import CONFIG, claim, result


@pytest.fixture
def own(stores: Stores) -> Stores:
    stores.tenants.create("a")
    return stores.of_tenant("a")


def labelled(stores: Stores, **labels: str) -> str:
    return stores.searches.create(CONFIG, DIGITS, labels=labels)[0].id


def found(stores: Stores, key: str, value: str) -> list[str]:
    return [search.id for search in stores.searches.list(SearchFilter(labels=((key, value),))).searches]


def test_the_row_the_index_and_the_version_change_together(stores: Stores, own: Stores) -> None:
    search_id = labelled(own, team="x", project="y")
    version = own.searches.version(search_id).version
    own.labels.change(search_id, {"team": "z", "project": None, "stage": "1"}, {version})
    assert own.searches.get(search_id).labels == {"team": "z", "stage": "1"}
    assert found(own, "team", "z") == found(own, "stage", "1") == [search_id]
    assert found(own, "team", "x") == found(own, "project", "y") == []
    with stores.database.read_scope() as session:
        rows = session.execute(select(SearchLabel.tenant_id, SearchLabel.key).order_by(SearchLabel.key)).all()
    assert [tuple(row) for row in rows] == [("a", "stage"), ("a", "team")]
    assert own.searches.version(search_id).version > version
    with pytest.raises(SearchChanged):
        own.labels.change(search_id, {"team": "w"}, {version})
    assert own.searches.get(search_id).labels["team"] == "z"


def test_what_another_tenant_has_is_unknown(stores: Stores, own: Stores) -> None:
    search_id = labelled(own, team="x")
    with pytest.raises(NotFound, match=f"no search '{search_id}'"):
        stores.of_tenant("default").labels.change(search_id, {"team": None})
    assert own.searches.get(search_id).labels == {"team": "x"}


def test_a_search_has_at_most_sixteen_labels(own: Stores) -> None:
    search_id = labelled(own, **{f"k{number}": "v" for number in range(16)})
    with pytest.raises(TooManyLabels, match="17 labels, and at most 16"):
        own.labels.change(search_id, {"more": "v"})
    own.labels.change(search_id, {"more": "v", "k0": None})
    assert len(own.searches.get(search_id).labels) == 16


def test_an_attempt_goes_on_while_labels_change(stores: Stores, own: Stores) -> None:
    search_id = labelled(own)
    lease = claim(stores)
    own.labels.change(search_id, {"team": "x"})
    stores.claims.finish(lease, result(), {})
    kinds = [event.kind for event in own.events.after(search_id)]
    assert (kinds[-2:], own.searches.get(search_id).labels) == (["labels_changed", "succeeded"], {"team": "x"})


def test_changes_at_the_same_time_are_all_done(own: Stores) -> None:
    search_id, together = labelled(own), Barrier(6)

    def change(number: int) -> None:
        together.wait(30)
        own.labels.change(search_id, {f"k{number}": "v"})

    threads = [Thread(target=change, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(own.searches.get(search_id).labels) == {f"k{number}" for number in range(6)}
    assert [event.seq for event in own.events.after(search_id)] == list(range(1, 8))
