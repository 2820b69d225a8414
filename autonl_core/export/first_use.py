"""The first use of the exporters, which takes seconds: they load themselves and their operators then."""

from __future__ import annotations

import tempfile
from pathlib import Path


def use_exporters_once() -> None:
    """Export a network of a few weights. Changes no byte of what is exported later, and draws no random number."""
    import onnxruntime.quantization
    import torch
    from torch import nn

    from autonl_core.export.formats.onnx import save_onnx
    from autonl_core.export.formats.pt2 import save_pt2
    from autonl_core.export.tracing import trace

    assert onnxruntime.quantization
    with tempfile.TemporaryDirectory(prefix="autonl-first-use-") as folder, torch.random.fork_rng(devices=[]):
        network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.SiLU(), nn.Flatten(), nn.Linear(8, 2)).eval()
        program = trace(network, 2)
        save_onnx(Path(folder) / "network.onnx", program, {})
        save_pt2(Path(folder) / "network.pt2", program)
