"""Batches made in a thread of their own: the same batches, one ahead, and nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from autonl_core.data.one_ahead import one_ahead


def makers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("next-batch")]


def test_batches_come_in_order_each_once() -> None:
    assert list(one_ahead(iter(range(100)), 1)) == list(range(100))
    assert makers() == []


def test_the_next_batch_is_made_while_one_is_used() -> None:
    second_made = threading.Event()

    def batches() -> Iterator[int]:
        yield 1
        second_made.set()
        yield 2

    ahead = one_ahead(batches(), 1)
    assert next(ahead) == 1
    assert second_made.wait(timeout=30)  # before it is asked for
    assert list(ahead) == [2]


def test_it_never_is_more_than_one_ahead() -> None:
    made: list[int] = []

    def batches() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    ahead = one_ahead(batches(), 1)
    for number in ahead:
        assert len(made) <= number + 2


def test_an_error_comes_where_its_batch_is_due() -> None:
    def batches() -> Iterator[int]:
        yield 1
        raise ValueError("the file is damaged")

    ahead = one_ahead(batches(), 1)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="the file is damaged"):
        next(ahead)
    assert makers() == []


def test_a_pass_that_is_left_early_leaves_no_thread() -> None:
    ahead = one_ahead(iter(range(100)), 1)
    next(ahead)
    ahead.close()  # type: ignore[attr-defined]  # it is a generator
    assert makers() == []


def test_both_threads_compute_with_the_threads_they_were_given() -> None:
    before = torch.get_num_threads()

    def batches() -> Iterator[int]:
        while True:
            yield torch.get_num_threads()

    ahead = one_ahead(batches(), before + 1)
    assert [next(ahead), next(ahead)] == [before + 1, before + 1]
    assert torch.get_num_threads() == before
    ahead.close()  # type: ignore[attr-defined]  # it is a generator
