"""From events to messages, on both databases: each event once, whatever happens in between."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select, text

from store.errors import NotFound
from store.models import Search
from store.states import ExitClass
from store.stores import Stores, open_stores
from store.webhooks.feed import IS_BEHIND
from store.webhooks.rows import WebhookDelivery
from tests.store.sample_rows import claim, crash, kinds, queue_search, result
from tests.store.webhooks.hooks import add_webhook, calls, message_of

_LATE_EVENT = """
INSERT INTO events (search_id, seq, fence, kind, at, detail)
SELECT id, 2, 0, 'cancelled', created_at + interval '1 ms', '{}' FROM searches WHERE id = :id
"""
ALL = ("created", "claimed", "succeeded", "failed", "cancelled", "requeued")


def read_all(stores: Stores) -> None:
    while stores.webhook_feed.read():
        pass


def messages(stores: Stores) -> list[WebhookDelivery]:
    """All messages, in the order of their events."""
    query = select(WebhookDelivery).order_by(WebhookDelivery.webhook_id, WebhookDelivery.search_id, WebhookDelivery.seq)
    with stores.database.read_scope() as session:
        return list(session.scalars(query))


def succeed(stores: Stores) -> str:
    """Run a new search to its end; its id."""
    search_id = queue_search(stores)
    stores.claims.finish(claim(stores), result(), {})
    return search_id


def test_every_event_that_is_wanted_becomes_one_message(stores: Stores) -> None:
    everything, ends = add_webhook(stores, *ALL), add_webhook(stores)
    search_id = succeed(stores)
    read_all(stores)
    read_all(stores)
    assert kinds(stores, search_id) == ["created", "claimed", "succeeded"]
    assert [row.kind for row in messages(stores) if row.webhook_id == everything] == ["created", "claimed", "succeeded"]
    assert [(row.kind, row.seq) for row in messages(stores) if row.webhook_id == ends] == [("succeeded", 3)]


def test_a_message_says_what_happened_and_where_to_read_on(stores: Stores) -> None:
    add_webhook(stores)
    search_id = succeed(stores)
    read_all(stores)
    call = stores.webhook_sending.claim()
    assert call is not None
    message, last = message_of(call), stores.events.after(search_id)[-1]
    moment = last.at.isoformat().replace("+00:00", "Z")
    assert message == {
        "id": call.message_id,
        "type": "search.succeeded",
        "created_at": moment,
        "timestamp": moment,
        "data": {
            "search_id": search_id,
            "state": "succeeded",
            "dataset": "digits",
            "seq": 3,
            "attempt": 1,
            "detail": {"arch_id": last.detail["arch_id"]},
            "links": {"search": f"/searches/{search_id}", "events": f"/searches/{search_id}/events"},
        },
    }


def test_the_state_in_a_message_is_that_of_its_event_not_a_later_one(stores: Stores) -> None:
    add_webhook(stores)
    search_id = queue_search(stores)
    stores.control.cancel(search_id)
    stores.control.resume(search_id)
    read_all(stores)
    (row,) = messages(stores)
    assert (row.kind, row.payload["data"]["state"]) == ("cancelled", "cancelled")


def test_events_from_before_a_webhook_are_not_sent_to_it(stores: Stores) -> None:
    succeed(stores)
    add_webhook(stores)  # before anything was read
    read_all(stores)
    assert messages(stores) == []
    succeed(stores)
    read_all(stores)
    assert len(messages(stores)) == 1


def test_a_search_that_is_deleted_at_once_is_still_announced(stores: Stores) -> None:
    webhook_id = add_webhook(stores)
    search_id = succeed(stores)
    stores.searches.delete(search_id)
    read_all(stores)
    assert [(sent.webhook_id, sent.type, sent.search_id) for sent in calls(stores.webhook_sending)] == [
        (webhook_id, "search.succeeded", search_id)
    ]


def test_an_event_of_a_transaction_that_ends_late_is_not_missed(stores: Stores) -> None:
    """Its time and its place in any order were fixed long before others could see it."""
    add_webhook(stores, *ALL)
    slow = queue_search(stores)
    read_all(stores)
    if stores.database.engine.dialect.name == "sqlite":
        stores.control.cancel(slow)  # one transaction at a time: nothing can overtake
        quick = succeed(stores)
    else:
        with stores.database.session_scope() as session:
            session.execute(select(Search).where(Search.id == slow).with_for_update())
            quick = queue_search(stores)
            read_all(stores)
            session.execute(text(_LATE_EVENT), {"id": slow})
            session.execute(text("UPDATE searches SET event_seq = 2 WHERE id = :id"), {"id": slow})
    read_all(stores)
    sent = {(row.search_id, row.kind) for row in messages(stores)}
    assert {(slow, "created"), (slow, "cancelled"), (quick, "created")} <= sent


def test_a_reader_that_dies_has_changed_nothing(stores: Stores) -> None:
    add_webhook(stores)
    succeed(stores)

    def die(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO webhook_deliveries"):  # the search is marked as read by then
            raise KeyboardInterrupt

    sqlalchemy_event.listen(stores.database.engine, "before_cursor_execute", die)
    with pytest.raises(KeyboardInterrupt):
        stores.webhook_feed.read()
    sqlalchemy_event.remove(stores.database.engine, "before_cursor_execute", die)
    assert messages(stores) == []
    read_all(stores)
    assert len(messages(stores)) == 1


def test_many_readers_write_each_message_once(stores: Stores) -> None:
    add_webhook(stores, *ALL)
    searches = [queue_search(stores) for _ in range(12)]
    for search_id in searches[:6]:
        stores.control.cancel(search_id)
    barrier = Barrier(4)

    def read() -> None:
        own = open_stores(stores.settings)
        barrier.wait()
        read_all(own)
        own.close()

    threads = [Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read_all(stores)
    assert len(messages(stores)) == 12 + 6


def test_without_webhooks_the_log_is_read_on_and_nothing_is_written(stores: Stores) -> None:
    succeed(stores)
    crash_id = queue_search(stores)
    assert crash(stores, exit_class=ExitClass.CRASHED) == "queued"
    read_all(stores)
    with stores.database.read_scope() as session:
        assert session.scalars(select(Search.id).where(IS_BEHIND)).all() == []
    assert messages(stores) == []
    assert stores.searches.get(crash_id).announced_seq == len(kinds(stores, crash_id))


def test_searches_with_new_events_are_found_by_an_index_of_only_those(stores: Stores) -> None:
    succeed(stores)
    read_all(stores)
    query = str(select(Search.id).where(IS_BEHIND).compile(stores.database.engine))
    sqlite = stores.database.engine.dialect.name == "sqlite"
    with stores.database.session_scope() as session:
        if not sqlite:
            session.execute(text("SET LOCAL enable_seqscan = off"))  # a table of one row is scanned
        plan = session.execute(text(f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{query}")).all()
    assert "ix_searches_unannounced" in str(plan)


def test_a_webhook_is_sent_events_of_its_own_tenant_only(stores: Stores) -> None:
    for tenant_id in ("ants", "bees"):
        stores.tenants.create(tenant_id)
    ants, bees = stores.of_tenant("ants"), stores.of_tenant("bees")
    of_ants, of_bees, of_default = (add_webhook(each, *ALL) for each in (ants, bees, stores))
    mine, others = queue_search(ants), queue_search(bees)
    bees.control.cancel(others)
    read_all(stores)
    bees.searches.delete(others)  # a session of a tenant writes messages as well
    sent = list(calls(stores.webhook_sending))
    assert {(each.webhook_id, each.search_id) for each in sent} == {(of_ants, mine), (of_bees, others)}
    assert {row.tenant_id for row in messages(stores)} == {"ants", "bees"}
    assert [entry.webhook.id for entry in ants.webhooks.list()] == [of_ants]
    for delivery in bees.webhooks.deliveries(of_bees):
        with pytest.raises(NotFound):
            ants.webhooks.delivery(of_bees, delivery.id)
        with pytest.raises(NotFound):
            ants.webhooks.resend(of_ants, delivery.id)
    with pytest.raises(NotFound):
        ants.webhooks.delete(of_default)


def test_a_search_that_a_tenant_deletes_is_announced_to_that_tenant(stores: Stores) -> None:
    stores.tenants.create("bees")
    bees = stores.of_tenant("bees")
    for each in (stores, bees):
        add_webhook(each)
    search_id = queue_search(bees)
    bees.control.cancel(search_id)
    bees.searches.delete(search_id)
    assert [(row.tenant_id, row.search_id, row.kind) for row in messages(stores)] == [("bees", search_id, "cancelled")]
