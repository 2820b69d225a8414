"""Tensor tests compute on one thread: their networks are tiny, and test processes share the cores."""

from __future__ import annotations

import torch

from tests.autonl_core.small_searches import cache, uninterrupted

__all__ = ["cache", "uninterrupted"]  # here, so that a search that all of these tests read from runs once

torch.set_num_threads(1)
