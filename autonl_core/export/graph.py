"""The graph of a network, which formats are made from: it can be made before the weights are known, and takes long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from autonl_core.export.tracing import trace

Converted = TypeVar("Converted")

_UNKNOWN = 0x7FC00001  # the bits of a float32 that is not a number; those of the next ones follow


class NetworkGraph:
    """A network traced for any batch size, (B, 3, R, R) -> (B, classes), with weights that come later.

    Until then every weight tensor consists of a NaN of its own: what an exporter computed from weights is NaN too and
    shows, and no two tensors are equal and could be merged.

    Args:
        network: with batch norms folded. Its weights are lost.
        resolution: R.
    """

    def __init__(self, network: nn.Module, resolution: int) -> None:
        self.network, self.resolution = network, resolution
        with torch.no_grad():
            for number, weight in enumerate(chain(network.parameters(), network.buffers())):
                weight.view(torch.int32).fill_(_UNKNOWN + number)
        self.program: ExportedProgram = trace(network, resolution)
        self._converted: dict[Callable[[ExportedProgram], Any], Any] = {}

    def converted(self, convert: Callable[[ExportedProgram], Converted]) -> Converted:
        """What `convert` makes of the program, at the first call or earlier. It holds the weights of the program."""
        if convert not in self._converted:
            self._converted[convert] = convert(self.program)
        made: Converted = self._converted[convert]
        return made

    def convert_again(self, convert: Callable[[ExportedProgram], Converted]) -> Converted:
        """The same, made now: for what turned out to be computed from weights when they were unknown."""
        del self._converted[convert]
        return self.converted(convert)

    def fill(self, weights: Mapping[str, Tensor]) -> None:
        """Set all weights: in the network, in the program, and in what was made of it."""
        with torch.no_grad():
            self.network.load_state_dict(weights)
