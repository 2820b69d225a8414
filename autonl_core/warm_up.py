"""What a process can do before its search is known: load what every search needs, and use once what is slow at first.

Nothing of it changes what a search computes, or a byte of what it writes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path


def load_search() -> None:
    """Load all that trains and draws."""
    import_module("torch._dynamo")  # otherwise loaded when the first optimiser is made
    import_module("autonl_core.search")
    from autonl_core.nn.kernels.__main__ import compile_all

    compile_all()


def load_exporters() -> None:
    """Export a network of a few weights, since exporters load themselves and their operators on first use."""
    import torch
    from torch import nn

    from autonl_core.export.formats.onnx import save_onnx
    from autonl_core.export.formats.pt2 import save_pt2
    from autonl_core.export.tracing import trace

    with tempfile.TemporaryDirectory(prefix="autonl-warm-up-") as folder, torch.random.fork_rng(devices=[]):
        network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.SiLU(), nn.Flatten(), nn.Linear(8, 2)).eval()
        program = trace(network, 2)
        save_onnx(Path(folder) / "network.onnx", program, {})
        save_pt2(Path(folder) / "network.pt2", program)


STEPS: Sequence[Callable[[], None]] = (load_search, load_exporters)
