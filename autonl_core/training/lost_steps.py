"""Steps whose loss is not finite: a few are skipped, many in a row mean that training has diverged."""

from __future__ import annotations

import math

from autonl_core.errors import Diverged

MAX_LOST_STEPS = 20  # in a row


class LostSteps:
    """Counts steps in a row that were lost. `loss_name` and `way_out` are what the error says if there are too many."""

    def __init__(self, loss_name: str, way_out: str) -> None:
        self.in_a_row = 0
        self._loss_name, self._way_out = loss_name, way_out

    def skip(self, loss: float) -> bool:
        """Whether a step is to be skipped, or was skipped on its device, because its loss is not finite.

        Raises:
            Diverged: `MAX_LOST_STEPS` in a row were not.
        """
        self.in_a_row = 0 if math.isfinite(loss) else self.in_a_row + 1
        if self.in_a_row >= MAX_LOST_STEPS:
            raise Diverged(f"{self._loss_name} was {loss} for {self.in_a_row} steps in a row; {self._way_out}")
        return self.in_a_row > 0
