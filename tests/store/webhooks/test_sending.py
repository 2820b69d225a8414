"""Claims and results of calls, on both databases, with a clock that is moved."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest

from store.leases import Origin
from store.stores import Stores, open_stores
from store.webhooks import sending as sending_module
from store.webhooks.registry import WebhookChange
from store.webhooks.retries import ORDERED_TRIES
from store.webhooks.rows import DeliveryState, WebhookState
from store.webhooks.sending import LEASE_S, WebhookSendingStore
from telemetry.ids import ids
from tests.store.sample_rows import queue_search
from tests.store.webhooks.hooks import (
    BUSY,
    DOWN,
    GONE,
    OK,
    REFUSED,
    MovedClock,
    Sent,
    add_webhook,
    calls,
    end_leases,
    skip_to_next_try,
)

HOUR_S, DAY_S = 3600.0, 86_400.0
PAIR = ("created", "cancelled")  # of the events of a search that is cancelled in the queue


@pytest.fixture
def sending(stores: Stores, clock: MovedClock) -> WebhookSendingStore:
    return WebhookSendingStore(stores.database, clock)


def cancelled_search(stores: Stores) -> str:
    """A search with the events `created` and `cancelled`; its id."""
    search_id = queue_search(stores)
    stores.control.cancel(search_id)
    while stores.webhook_feed.read():
        pass
    return search_id


def state_of(stores: Stores, webhook_id: str) -> WebhookState:
    return stores.webhooks.get(webhook_id).webhook.state


def test_events_are_sent_once_in_the_order_of_each_search(stores: Stores, sending: WebhookSendingStore) -> None:
    webhook_id = add_webhook(stores, *PAIR)
    searches = [cancelled_search(stores) for _ in range(3)]
    sent = list(calls(sending))
    assert [(each.search_id, each.seq) for each in sent] == [(one, seq) for one in searches for seq in (1, 2)]
    assert len({each.message_id for each in sent}) == 6
    assert sending.claim() is None
    for row in stores.webhooks.deliveries(webhook_id):
        assert (row.state, row.tries, row.status, row.duration_s, row.problem) == ("delivered", 1, 204, 0.25, None)


@pytest.mark.long
def test_a_receiver_that_is_down_for_an_hour_loses_nothing(
    stores: Stores, sending: WebhookSendingStore, clock: MovedClock
) -> None:
    webhook_id = add_webhook(stores, *PAIR)
    searches, tried = [cancelled_search(stores)], []
    while clock.ahead_s < HOUR_S:
        tried += list(calls(sending, DOWN))
        if len(searches) < 4:
            searches.append(cancelled_search(stores))
        skip_to_next_try(stores, clock, HOUR_S)
    # The first message is tried again and again under one id; the others wait for it.
    assert {each.message_id for each in tried} == {tried[0].message_id}
    assert 6 <= len(tried) <= 8  # by hand: after 5, 20, 65, 200, 605 and 1820 s, give or take a fifth
    sent: list[Sent] = []
    while not sent:  # from now on it answers: at the latest at the next try, 3645 s after the last one and a fifth
        sent = list(calls(sending, OK))
        clock.ahead_s += 10
    assert clock.ahead_s < HOUR_S + 3645 * 1.2 + 20
    assert [(each.search_id, each.seq) for each in sent] == [(one, seq) for one in searches for seq in (1, 2)]
    assert sent[0].message_id == tried[0].message_id
    assert stores.webhooks.get(webhook_id).webhook.failures == 0


def test_after_three_days_a_webhook_is_disabled_and_goes_on_when_it_is_enabled(
    stores: Stores, sending: WebhookSendingStore, clock: MovedClock
) -> None:
    webhook_id = add_webhook(stores)
    first = cancelled_search(stores)
    tries = len(list(calls(sending, BUSY)))
    while state_of(stores, webhook_id) == "active":
        skip_to_next_try(stores, clock, 4 * DAY_S)
        tries += len(list(calls(sending, BUSY)))
    assert 2.5 * DAY_S < clock.ahead_s < 3.1 * DAY_S
    assert 14 <= tries <= 20
    row = stores.webhooks.get(webhook_id).webhook
    assert row.disabled_reason == "no call has succeeded for 3 days; the last one: it answered 503"
    second = cancelled_search(stores)  # what happens meanwhile is kept
    clock.ahead_s += DAY_S
    assert sending.claim() is None
    clock.ahead_s = 0
    enabled = stores.webhooks.change(webhook_id, WebhookChange(active=True))
    assert (enabled.webhook.state, enabled.webhook.disabled_reason, enabled.waiting) == ("active", None, 2)
    assert [each.search_id for each in calls(sending)] == [first, second]


def test_a_receiver_that_is_gone_is_not_called_again(stores: Stores, sending: WebhookSendingStore) -> None:
    webhook_id = add_webhook(stores)
    cancelled_search(stores)
    assert len(list(calls(sending, GONE))) == 1
    assert state_of(stores, webhook_id) == "disabled"
    assert "410" in str(stores.webhooks.get(webhook_id).webhook.disabled_reason)


def test_one_message_that_is_refused_does_not_stop_those_of_other_searches(
    stores: Stores, sending: WebhookSendingStore, clock: MovedClock
) -> None:
    webhook_id = add_webhook(stores, *PAIR)
    bad, good = cancelled_search(stores), cancelled_search(stores)
    sent: list[Sent] = []
    refused = 0
    while clock.ahead_s < HOUR_S:
        while (call := sending.claim()) is not None:
            is_bad = (Sent.of(call).search_id, Sent.of(call).seq) == (bad, 1)
            sending.record(call, REFUSED if is_bad else OK)
            refused += is_bad
            if not is_bad:
                sent.append(Sent.of(call))
                if sent[-1].search_id == bad:  # the later event of its search waited for the first five tries
                    assert refused == ORDERED_TRIES
        skip_to_next_try(stores, clock, HOUR_S)
    assert [(each.search_id, each.seq) for each in sent] == [(good, 1), (good, 2), (bad, 2)]
    while clock.ahead_s < 4 * DAY_S:
        list(calls(sending, REFUSED))
        clock.ahead_s += HOUR_S
    assert state_of(stores, webhook_id) == "active"  # others have arrived since the first try of that message
    assert [row.seq for row in stores.webhooks.deliveries(webhook_id, state=DeliveryState.FAILED)] == [1]


def test_a_message_is_given_up_alone_if_others_arrive(
    stores: Stores, sending: WebhookSendingStore, clock: MovedClock
) -> None:
    webhook_id = add_webhook(stores)
    bad = cancelled_search(stores)
    while clock.ahead_s < 3.5 * DAY_S:
        if clock.ahead_s % DAY_S == 0:
            cancelled_search(stores)
        while (call := sending.claim()) is not None:
            sending.record(call, REFUSED if Sent.of(call).search_id == bad else OK)
        clock.ahead_s += HOUR_S
    assert state_of(stores, webhook_id) == "active"
    (failed,) = stores.webhooks.deliveries(webhook_id, state=DeliveryState.FAILED)
    assert (failed.search_id, failed.status, failed.excerpt) == (bad, 422, "what is this?")
    assert len(stores.webhooks.deliveries(webhook_id, state=DeliveryState.DELIVERED)) == 4


def test_a_sender_that_dies_is_replaced_when_its_lease_ends(
    stores: Stores, sending: WebhookSendingStore, clock: MovedClock
) -> None:
    add_webhook(stores, *PAIR)
    cancelled_search(stores)
    lost = sending.claim()
    assert lost is not None
    assert sending.claim() is None  # neither this message nor the next one of its receiver
    clock.ahead_s += LEASE_S + 1
    again = sending.claim()
    assert again is not None
    assert (again.message_id, again.body) == (lost.message_id, lost.body)
    assert sending.record(lost, OK) is None  # it was late, and is not believed
    assert sending.record(again, OK) == "delivered"
    assert [each.seq for each in calls(sending)] == [2]


def test_many_senders_claim_each_message_once(stores: Stores) -> None:
    for _ in range(3):
        add_webhook(stores, *PAIR)
    for _ in range(4):
        cancelled_search(stores)
    barrier, sent = Barrier(4), list[Sent]()

    def send() -> None:
        own = open_stores(stores.settings)
        barrier.wait()
        sent.extend(calls(own.webhook_sending))
        own.close()

    threads = [Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent.extend(calls(stores.webhook_sending))
    assert len(sent) == len({each.message_id for each in sent}) == 3 * 4 * 2


def test_receivers_take_turns(stores: Stores, sending: WebhookSendingStore) -> None:
    webhooks = [add_webhook(stores, *PAIR) for _ in range(3)]
    for _ in range(2):
        cancelled_search(stores)
    sent = [each.webhook_id for each in calls(sending)]
    assert [sorted(sent[start : start + 3]) for start in range(0, 12, 3)] == [sorted(webhooks)] * 4


def test_a_paused_webhook_is_sent_what_waited(stores: Stores, sending: WebhookSendingStore) -> None:
    webhook_id = add_webhook(stores)
    stores.webhooks.change(webhook_id, WebhookChange(active=False))
    search_id = cancelled_search(stores)
    assert sending.claim() is None
    assert stores.webhooks.get(webhook_id).waiting == 1
    stores.webhooks.change(webhook_id, WebhookChange(active=True))
    assert [each.search_id for each in calls(sending)] == [search_id]


def test_a_test_call_is_made_once_even_if_the_webhook_is_paused_or_held(
    stores: Stores, sending: WebhookSendingStore
) -> None:
    webhook_id = add_webhook(stores)
    cancelled_search(stores)
    assert len(list(calls(sending, DOWN))) == 1  # held from now on
    test = stores.webhooks.test(webhook_id)
    assert stores.webhooks.test(webhook_id).id == test.id  # one at a time
    assert [each.type for each in calls(sending, DOWN)] == ["webhook.test"]
    assert stores.webhooks.delivery(webhook_id, test.id).state == "failed"
    assert stores.webhooks.get(webhook_id).webhook.failures == 1
    stores.webhooks.change(webhook_id, WebhookChange(active=False))
    stores.webhooks.test(webhook_id)
    assert [each.type for each in calls(sending)] == ["webhook.test"]


def test_a_test_call_that_succeeds_ends_the_wait_of_the_webhook(stores: Stores, sending: WebhookSendingStore) -> None:
    webhook_id = add_webhook(stores, *PAIR)
    cancelled_search(stores)
    list(calls(sending, DOWN))
    stores.webhooks.test(webhook_id)
    assert next(calls(sending)).type == "webhook.test"
    assert stores.webhooks.get(webhook_id).webhook.hold_until is None


def test_a_message_is_sent_again_under_its_id(stores: Stores, sending: WebhookSendingStore) -> None:
    webhook_id = add_webhook(stores)
    cancelled_search(stores)
    (first,) = calls(sending)
    assert stores.webhooks.resend(webhook_id, first.message_id).state == "pending"
    assert list(calls(sending)) == [first]


def test_for_a_day_messages_are_signed_with_the_old_secret_too(
    stores: Stores, sending: WebhookSendingStore, clock: MovedClock
) -> None:
    added = stores.webhooks.add("https://hooks.example/", ["cancelled"], "").webhook
    rotated = stores.webhooks.rotate(added.id).webhook
    cancelled_search(stores)
    call = sending.claim()
    assert call is not None
    assert call.secrets == (rotated.secret, added.secret)
    clock.ahead_s += DAY_S + 1
    later = sending.claim()
    assert later is not None
    assert later.secrets == (rotated.secret,)


def test_what_waits_is_bounded_and_what_is_dropped_is_said(
    stores: Stores, sending: WebhookSendingStore, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending_module, "MAX_WAITING", 3)
    webhook_id = add_webhook(stores)
    stores.webhooks.change(webhook_id, WebhookChange(active=False))
    searches = [cancelled_search(stores) for _ in range(5)]
    assert sending.clean_up() == 2
    dropped = stores.webhooks.deliveries(webhook_id, state=DeliveryState.DROPPED)
    assert [row.search_id for row in dropped] == [searches[1], searches[0]]
    assert "too many messages were waiting" in str(dropped[0].problem)
    stores.webhooks.change(webhook_id, WebhookChange(active=True))
    assert [each.search_id for each in calls(sending)] == searches[2:]
    cancelled_search(stores)
    clock.ahead_s += 8 * DAY_S
    assert sending.clean_up() == 1
    clock.ahead_s += 31 * DAY_S
    sending.clean_up()
    assert stores.webhooks.deliveries(webhook_id) == []


def test_a_webhook_that_is_deleted_meanwhile_is_let_go(stores: Stores, sending: WebhookSendingStore) -> None:
    webhook_id = add_webhook(stores)
    cancelled_search(stores)
    call = sending.claim()
    assert call is not None
    stores.webhooks.delete(webhook_id)
    assert sending.record(call, OK) is None
    end_leases(stores)
    assert sending.claim() is None


def test_the_backlog_counts_what_waits_and_knows_for_how_long_senders_are_late(
    stores: Stores, sending: WebhookSendingStore, clock: MovedClock
) -> None:
    backlog = sending.backlog()
    assert ({*backlog.waiting.values()}, backlog.oldest_due_s) == ({0}, 0.0)
    add_webhook(stores, *PAIR)
    paused = add_webhook(stores, *PAIR)
    stores.webhooks.change(paused, WebhookChange(active=False))
    cancelled_search(stores)
    clock.ahead_s = 100.0
    backlog = sending.backlog()
    assert (backlog.waiting[WebhookState.ACTIVE], backlog.waiting[WebhookState.PAUSED]) == (2, 2)
    assert backlog.oldest_due_s == pytest.approx(100, abs=5)
    assert len(list(calls(sending))) == 2
    backlog = sending.backlog()
    assert (backlog.waiting[WebhookState.ACTIVE], backlog.waiting[WebhookState.PAUSED], backlog.oldest_due_s) == (
        0,
        2,
        0.0,
    )
    stores.webhooks.test(paused)  # is made at once, paused or not
    assert sending.backlog().oldest_due_s == pytest.approx(100, abs=5)


def test_a_message_that_waits_for_its_next_try_is_not_due_and_later_one_not_before_it(
    stores: Stores, sending: WebhookSendingStore, clock: MovedClock
) -> None:
    """After a failure that concerns the receiver, all are held; after one that concerns a message, its search waits."""
    add_webhook(stores, *PAIR)
    cancelled_search(stores)
    for result in (DOWN, REFUSED):
        clock.ahead_s += 1000
        assert len(list(calls(sending, result))) == 1
        assert (sending.backlog().waiting[WebhookState.ACTIVE], sending.backlog().oldest_due_s) == (2, 0.0)
    clock.ahead_s += 1000  # the second try, which failed, is followed by another after 12 to 18 s
    assert sending.backlog().oldest_due_s == pytest.approx(1000 - 15, abs=3 + 5)


def test_a_call_knows_its_search_its_origin_and_its_earlier_tries(
    stores: Stores, sending: WebhookSendingStore, clock: MovedClock
) -> None:
    webhook_id = add_webhook(stores, *PAIR)
    with ids(request_id="r1"):
        search_id = cancelled_search(stores)
    first = sending.claim()
    assert first is not None
    assert (first.tries, first.search_id, first.origin.request_id) == (0, search_id, "r1")
    assert first.origin.tenant_id == "default"
    sending.record(first, DOWN)
    clock.ahead_s += 10
    second = sending.claim()
    assert second is not None
    assert (second.tries, second.message_id) == (1, first.message_id)
    sending.record(second, OK)
    stores.searches.delete(search_id)
    after_deletion = sending.claim()
    assert after_deletion is not None
    assert after_deletion.search_id == search_id
    assert after_deletion.origin == Origin(tenant_id="default")
    sending.record(after_deletion, OK)
    stores.webhooks.test(webhook_id)
    test_call = sending.claim()
    assert test_call is not None
    assert (test_call.search_id, test_call.origin) == (None, Origin(tenant_id="default"))
