"""Tensor tests compute on one thread, since test processes share the cores, and draw the same numbers in every run."""

from __future__ import annotations

import torch

from tests.autonl_core.small_searches import cache, uninterrupted

__all__ = ["cache", "uninterrupted"]  # here, so that what all of these tests read from is made once

torch.set_num_threads(1)


def pytest_runtest_setup() -> None:
    """Whatever ran before in the same process, a test sees the same random inputs."""
    torch.manual_seed(0)
