"""What aliases of models stand for, and stood for before, on both databases."""

from __future__ import annotations

from dataclasses import replace
from threading import Barrier, Thread

import pytest

from store.errors import CannotRollBack, NotFound, StateConflict, TooManyAliases
from store.model_registry import registry
from store.model_registry.registry import PromotionEntry
from store.stores import Stores, open_stores
from tests.store.sample_rows import CHECKPOINT, claim, kinds, let_time_pass, queue_search, result

DAY_S = 86_400.0


def finished(stores: Stores) -> str:
    """A search that has succeeded, with a file."""
    search_id = queue_search(stores)
    checkpoint = replace(CHECKPOINT, key=f"{search_id}/1/model.safetensors")
    stores.claims.finish(claim(stores), result(), {"safetensors": checkpoint})
    return search_id


def stands_for(stores: Stores, alias: str = "prod", model: str = "products") -> str:
    return stores.models.get(model, alias).promotion.search_id


def numbers(entries: list[PromotionEntry]) -> list[tuple[str, int, int | None]]:
    return [(entry.promotion.alias, entry.promotion.number, entry.promotion.restores) for entry in entries]


def promote(stores: Stores, search_id: str, alias: str = "prod", note: str = "") -> int:
    return stores.models.promote("products", alias, search_id, note=note).entry.promotion.number


def test_an_alias_stands_for_what_was_promoted_last(stores: Stores) -> None:
    first, second = finished(stores), finished(stores)
    assert promote(stores, first) == 1
    assert promote(stores, second, note="better") == 2
    assert promote(stores, first, "staging") == 1
    assert (stands_for(stores), stands_for(stores, "staging")) == (second, first)
    entry = stores.models.get("products", "prod")
    assert entry.search is not None
    assert entry.architecture is not None
    assert (entry.promotion.note, entry.search.id, entry.architecture.test_top1_pct) == ("better", second, 98.0)
    assert [one.promotion.alias for one in stores.models.list()] == ["prod", "staging"]
    assert numbers(list(stores.models.history("products"))) == [
        ("staging", 1, None),
        ("prod", 2, None),
        ("prod", 1, None),
    ]
    assert kinds(stores, second)[-1] == "promoted"


def test_a_repeated_promotion_changes_nothing(stores: Stores) -> None:
    search_id = finished(stores)
    assert stores.models.promote("products", "prod", search_id).created
    again = stores.models.promote("products", "prod", search_id)
    assert not again.created
    assert again.entry.promotion.number == 1
    assert kinds(stores, search_id).count("promoted") == 1
    assert stores.models.promote("products", "prod", search_id, note="for another reason").created


def test_rollbacks_go_back_step_by_step_and_are_promotions_themselves(stores: Stores) -> None:
    a, b, c = (finished(stores) for _ in range(3))
    for search_id in (a, b, c):
        promote(stores, search_id)
    back = stores.models.roll_back("products", "prod", 3, note="slow")
    assert (back.promotion.number, back.promotion.restores, stands_for(stores)) == (4, 2, b)
    assert stores.models.roll_back("products", "prod", 4).promotion.restores == 1
    assert stands_for(stores) == a
    with pytest.raises(CannotRollBack, match="products@prod stood for nothing before promotion 5"):
        stores.models.roll_back("products", "prod", 5)
    assert promote(stores, c) == 6
    assert stores.models.roll_back("products", "prod", 6).promotion.restores == 5
    assert stands_for(stores) == a


def test_a_repeated_rollback_undoes_nothing_twice(stores: Stores) -> None:
    a, b, c = (finished(stores) for _ in range(3))
    for search_id in (a, b, c):
        promote(stores, search_id)
    stores.models.roll_back("products", "prod", 3)
    with pytest.raises(CannotRollBack, match="promotion 4 of products@prod is the current one, not 3"):
        stores.models.roll_back("products", "prod", 3)
    assert stands_for(stores) == b


def test_what_an_alias_stands_for_stays_and_what_it_stood_for_may_go(stores: Stores) -> None:
    first, second = finished(stores), finished(stores)
    promote(stores, first)
    with pytest.raises(StateConflict, match=f"products@prod stands for search {first}; promote another search"):
        stores.searches.delete(first)
    promote(stores, second)
    stores.searches.delete(first)
    (_, gone) = stores.models.history("products")
    assert (gone.promotion.search_id, gone.search, gone.architecture) == (first, None, None)
    with pytest.raises(CannotRollBack, match=f"products@prod cannot go back to promotion 1: no search '{first}'"):
        stores.models.roll_back("products", "prod", 2)
    stores.models.remove("products", "prod")
    stores.searches.delete(second)


def test_its_files_are_kept_for_as_long(stores: Stores) -> None:
    keeping = open_stores(stores.settings.model_copy(update={"search_files_keep_s": DAY_S}))
    in_use, other = finished(stores), finished(stores)
    promote(stores, in_use)
    for search_id in (in_use, other):
        let_time_pass(stores, search_id, 2 * DAY_S)
    assert [gone.search_id for gone in keeping.retention.forget_files()] == [other]
    with pytest.raises(StateConflict, match=f"the files of search {other} are no longer kept"):
        promote(stores, other)
    stores.models.remove("products", "prod")
    assert [gone.search_id for gone in keeping.retention.forget_files()] == [in_use]
    keeping.close()


def test_only_what_has_succeeded_can_be_promoted(stores: Stores) -> None:
    search_id = queue_search(stores)
    with pytest.raises(StateConflict, match=f"search {search_id} is queued; only a search that has succeeded"):
        promote(stores, search_id)
    with pytest.raises(NotFound, match="no search '0000000000000000'"):
        promote(stores, "0000000000000000")
    assert not stores.models.list()


def test_unknown_names(stores: Stores) -> None:
    promote(stores, finished(stores))
    for call in (
        stores.models.get,
        stores.models.remove,
        lambda model, alias: stores.models.roll_back(model, alias, 1),
    ):
        with pytest.raises(NotFound, match="no alias 'staging' of a model 'products'"):
            call("products", "staging")
    with pytest.raises(NotFound, match="no model 'shoes'"):
        stores.models.history("shoes")
    assert not stores.models.aliases("shoes")


def test_there_are_only_so_many_aliases(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_ALIASES", 1)
    search_id, other = finished(stores), finished(stores)
    promote(stores, search_id)
    promote(stores, other)
    with pytest.raises(TooManyAliases, match="there are 1 aliases of models, and at most 1 are possible"):
        promote(stores, search_id, "staging")


def test_of_many_promotions_at_once_each_gets_a_number_and_one_is_current(stores: Stores) -> None:
    searches = [finished(stores) for _ in range(6)]
    together = Barrier(len(searches))

    def promote_together(search_id: str) -> None:
        together.wait()
        promote(stores, search_id)

    threads = [Thread(target=promote_together, args=(search_id,)) for search_id in searches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = list(stores.models.history("products"))
    assert sorted(entry.promotion.number for entry in history) == [1, 2, 3, 4, 5, 6]
    assert {entry.promotion.search_id for entry in history} == set(searches)
    assert [entry.promotion.number for entry in history if entry.promotion.is_current] == [6]


def test_tenants_have_models_of_their_own(stores: Stores) -> None:
    search_id = finished(stores)
    promote(stores, search_id)
    stores.tenants.create("a")
    own = stores.of_tenant("a")
    assert not own.models.list()
    with pytest.raises(NotFound):
        own.models.promote("products", "prod", search_id)
    mine = finished(own)
    assert own.models.promote("products", "prod", mine).entry.promotion.number == 1
    assert stores.of_tenant("default").models.get("products", "prod").promotion.search_id == search_id
