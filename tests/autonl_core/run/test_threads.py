"""How many threads a phase gets."""

from __future__ import annotations

import torch

from autonl_core.run.threads import computing_with, shared_threads, threads_for


def test_a_batch_of_a_tiny_network_gets_one_thread_and_a_large_one_all() -> None:
    assert threads_for(64 * 450_000, limit=8) == 1  # digits at 8 pixels
    assert threads_for(64 * 4_500_000, limit=8) == 8  # CIFAR-10
    assert threads_for(64 * 40_000_000, limit=1) == 1


def test_a_teacher_gets_its_share_of_the_threads_and_never_all() -> None:
    assert shared_threads(2, 125_000_000, 120_000_000) == (1, 1)
    assert shared_threads(8, 125_000_000, 120_000_000) == (4, 4)
    assert shared_threads(8, 125_000_000, 900_000_000) == (7, 1)
    assert shared_threads(4, 385_000_000, 30_000_000) == (1, 3)


def test_without_a_teacher_or_with_one_thread_nothing_is_made_ahead() -> None:
    assert shared_threads(8, 0, 120_000_000) == (8, 0)
    assert shared_threads(1, 125_000_000, 120_000_000) == (1, 0)


def test_the_number_of_threads_is_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    try:
        with computing_with(before + 1):
            assert torch.get_num_threads() == before + 1
            raise InterruptedError  # as a search that is asked to stop
    except InterruptedError:
        pass
    assert torch.get_num_threads() == before
