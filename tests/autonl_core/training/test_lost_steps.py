"""Steps whose loss is not finite."""

from __future__ import annotations

import pytest

from autonl_core.errors import Diverged
from autonl_core.training.lost_steps import LostSteps


@pytest.mark.parametrize("lost", [float("nan"), float("inf")])
def test_a_lost_step_is_skipped_and_twenty_in_a_row_end_the_training(lost: float) -> None:
    steps = LostSteps("the loss", "lower the learning rate (0.1)")
    assert steps.skip(lost)
    assert not steps.skip(1.0)
    for _ in range(19):
        assert steps.skip(lost)
    with pytest.raises(Diverged, match=r"(nan|inf) for 20 steps in a row; lower the learning rate"):
        steps.skip(lost)
