"""The limits of this machine: the fastest matrix product and the fastest pass over memory that we can measure.

A network's limit is the sum over its layers of whichever takes longer: the layer's MACs at the GEMM peak, or reading
its input and weights and writing its output once at full bandwidth. No layer-by-layer execution can be faster.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autonl_core.nn.network import Network
from autonl_core.nn.profile import COUNTED, count_layer
from benchmarks.harness import times_interleaved

_GEMM_SIZE = 2048
_COPIED_FLOATS = 64 * 2**20  # 256 MiB: far more than any cache


@dataclass(frozen=True)
class Limits:
    """GEMM peak in MACs per second, bandwidth in bytes read or written per second."""

    macs_per_s: float
    bytes_per_s: float

    def seconds(self, macs: float, moved_bytes: float) -> float:
        """Seconds for this many MACs and bytes moved, whichever takes longer."""
        return max(macs / self.macs_per_s, moved_bytes / self.bytes_per_s)


def measure_limits(device: str = "cpu") -> Limits:
    """Measure a large float32 product and an in-place addition to a large array; the best time of each."""
    a, b = torch.randn(2, _GEMM_SIZE, _GEMM_SIZE, device=device)
    product, source = torch.empty_like(a), torch.ones(_COPIED_FLOATS, device=device)
    target = torch.zeros_like(source)
    calls = {"gemm": lambda: torch.mm(a, b, out=product), "add": lambda: target.add_(source)}
    seconds = {name: min(times) for name, times in times_interleaved(calls, 5, device).items()}
    return Limits(_GEMM_SIZE**3 / seconds["gemm"], 3 * 4 * _COPIED_FLOATS / seconds["add"])  # two reads, one write


def forward_limit_s(network: Network, x: Tensor, limits: Limits) -> float:
    """The limit of one forward pass over the batch `x`, in seconds, summed over layers."""
    total = 0.0

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        macs = count_layer(layer, inputs[0], output).total
        weights = sum(p.numel() for p in layer.parameters())
        total += limits.seconds(macs, 4 * (inputs[0].numel() + output.numel() + weights))

    hooks = [m.register_forward_hook(add) for m in network.modules() if isinstance(m, COUNTED)]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return total
