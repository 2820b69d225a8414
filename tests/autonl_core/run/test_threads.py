"""How many threads a phase gets."""

from __future__ import annotations

import torch

from autonl_core.run.threads import computing_with, threads_for


def test_a_batch_of_a_tiny_network_gets_one_thread_and_a_large_one_all() -> None:
    assert threads_for(64 * 450_000, limit=8) == 1  # digits at 8 pixels
    assert threads_for(64 * 4_500_000, limit=8) == 8  # CIFAR-10
    assert threads_for(64 * 40_000_000, limit=1) == 1


def test_the_number_of_threads_is_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    try:
        with computing_with(before + 1):
            assert torch.get_num_threads() == before + 1
            raise InterruptedError  # as a search that is asked to stop
    except InterruptedError:
        pass
    assert torch.get_num_threads() == before
