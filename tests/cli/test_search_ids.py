"""Ids of searches on the command line, shortened."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import insert, select

from cli.client import Client
from cli.errors import CommandError
from cli.search_ids import full_id
from store.models import Search
from store.stores import Stores
from tests.cli.test_commands import as_json, autonl
from tests.store.sample_rows import queue_search

IDS = ("9f2c000000000001", "9f2d000000000002", "a000000000000003")


@pytest.fixture
def searches(service: httpx.Client, stores: Stores) -> httpx.Client:
    """A service with three searches of these ids, copies of one that has another."""
    queued = queue_search(stores)
    for search_id in IDS:
        copy(stores, queued, search_id)
    stores.control.cancel(queued)
    stores.searches.delete(queued)
    return service


def copy(stores: Stores, search_id: str, new_id: str) -> None:
    with stores.database.session_scope() as session:
        row = dict(session.execute(select(Search.__table__).where(Search.id == search_id)).mappings().one())
        session.execute(insert(Search).values(row | {"id": new_id}))


def test_an_id_may_be_shortened_to_what_is_unique(searches: httpx.Client) -> None:
    with Client(str(searches.base_url)) as client:
        assert [full_id(client, text) for text in ("9f2c", "9f2d00", IDS[2])] == list(IDS)


def test_several_matches_are_listed_and_none_is_an_error(searches: httpx.Client, stores: Stores) -> None:
    copy(stores, IDS[1], "9f2c000000000002")
    with Client(str(searches.base_url)) as client:
        with pytest.raises(CommandError) as caught:
            full_id(client, "9f2c")
        title, *listed = str(caught.value).splitlines()
        assert title == "'9f2c' begins the ids of 2 searches; give more of it"
        assert sorted(listed) == [f"  9f2c00000000000{n}: digits, 400k, queued" for n in (1, 2)]
        with pytest.raises(CommandError, match="No search has an id that begins with 'beef'"):
            full_id(client, "beef")


def test_whole_ids_and_texts_too_short_for_one_cost_no_request() -> None:
    with Client("http://127.0.0.1:1") as client:  # where no service listens
        assert [full_id(client, text) for text in ("0123456789abcdef", "9f2")] == ["0123456789abcdef", "9f2"]


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("events",),
        ("logs",),
        ("trade-off",),
        ("architecture-history",),
        ("repeats",),
        ("pause",),
        ("resume",),
        ("cancel",),
    ],
)
def test_commands_take_short_ids(searches: httpx.Client, command: tuple[str, ...]) -> None:
    assert autonl(*command, "9f2d").exit_code == 0
    assert autonl(*command, "9f2").exit_code == 2


def test_the_rest_takes_short_ids_too(searches: httpx.Client) -> None:
    assert as_json("label", "a000", "team:x")["id"] == IDS[2]
    for command in ("download", "report", "delete"):
        refused = autonl(command, "a000")
        assert (refused.exit_code, IDS[2] in refused.stderr) == (2, True)
    assert as_json("cancel", "a000")["id"] == IDS[2]
    assert autonl("delete", "a000").stdout == f"search {IDS[2]} deleted\n"
    refused = autonl("search", "-d", "digits", "-b", "400k", "--init", "search:9f2c")
    assert (refused.exit_code, IDS[0] in refused.stderr) == (2, True)
