"""Tensor tests compute on one thread: their networks are tiny, and test processes share the cores."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
