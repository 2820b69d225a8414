"""The waits between tries, worked by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from store.webhooks.retries import GIVE_UP_S, CallResult, next_try, wait_s

START = datetime(2026, 1, 1, tzinfo=UTC)


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def test_waits_grow_from_seconds_to_hours() -> None:
    waits = [wait_s(tries, middle) for tries in range(1, 11)]
    assert waits == [5, 15, 45, 135, 405, 1215, 3645, 10_935, 28_800, 28_800]


@given(st.integers(1, 100_000))
def test_a_wait_is_spread_by_a_fifth_either_way(tries: int) -> None:
    even = wait_s(tries, middle)
    assert 0.8 * even - 1e-9 <= wait_s(tries) <= 1.2 * even + 1e-9


def test_trying_ends_after_three_days() -> None:
    moment, tries = START, 0
    while (again := next_try(START, moment, tries + 1, middle)) is not None:
        moment, tries = again, tries + 1
    # 16,400 s for the first eight waits, then eight hours each: eight of them fit into three days
    assert (moment - START).total_seconds() == 16_400 + 8 * 28_800
    assert tries == 16
    assert moment + timedelta(hours=8) > START + timedelta(seconds=GIVE_UP_S)


def test_a_refused_message_is_distinguished_from_a_receiver_in_trouble() -> None:
    def concerns(status: int | None) -> bool:
        return CallResult(status, "no", "", 0.1).concerns_endpoint

    assert [status for status in (None, 301, 401, 403, 404, 408, 410, 429, 500, 503) if not concerns(status)] == [410]
    assert not any(map(concerns, (400, 405, 409, 413, 422)))
