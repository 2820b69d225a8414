"""What an algorithm is: how it learns which gates to open, and what a training step of it costs.

Algorithms are the files of `autonl_core/supernet/algorithms/`; a search names one by `algorithm`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from autonl_core.registry import Registry
from autonl_core.spec.config import SearchConfig
from autonl_core.supernet.budget import Floats
from autonl_core.supernet.supernet import Supernet
from autonl_core.training.parts import BatchParts

LOG_ODDS_LIMIT = 4.0  # keeps every option possible: the least likely setting of a gate has probability .018


class Learner(Protocol):
    """What the supernet's training loop needs of an algorithm.

    `progress` is the share of the search done, 0 to 1; `parts`, how a batch is computed (`training/parts.py`). Draws
    come from `rng`, once for the whole batch, and so does what is learned from it: they are the same on all ranks.
    """

    slope_interval: int  # weight steps per slope step; 0: gates learn in the weight step itself

    def extra_parameters(self) -> list[nn.Parameter]:
        """Parameters to be trained together with the weights."""

    def weight_step(
        self, x: Tensor, y: Tensor, rng: np.random.Generator, progress: float, parts: BatchParts
    ) -> Tensor | float:
        """Leave gradients of the weights for one training batch in them; returns the cross-entropy.

        A scalar on the device of `x` is best: a number has to be read from there, and a GPU is idle meanwhile.
        """

    def slope_step(self, x: Tensor, y: Tensor, rng: np.random.Generator, progress: float, parts: BatchParts) -> None:
        """Learn about the gates from one validation batch."""

    def probabilities(self) -> Floats:
        """How likely every gate is open, (gates,)."""

    def metrics(self) -> dict[str, float]:
        """What else is worth a point in the time series."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Algorithm:
    """A way to learn the gates of a supernet.

    `macs_per_image(config, largest_macs)` is the work of one training image in MACs, all passes included, in a space
    whose largest network has `largest_macs`: it sets the pace of the progress that users see.
    """

    name: str
    make_learner: Callable[[Supernet, SearchConfig], Learner]
    macs_per_image: Callable[[SearchConfig, int], float]


ALGORITHMS = Registry[Algorithm]("autonl_core.supernet.algorithms", "algorithm")
