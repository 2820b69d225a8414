"""The end of a search: what the trained network scores."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from autonl_core.spec.progress import StopRequest
from tests.autonl_core.small_searches import Recorder, search


class Precision(Recorder):
    """Notes, whenever it is asked in the phase `evaluating`, whether a GPU may round what it multiplies to TF32."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds: list[bool] = []

    def stop_requested(self) -> StopRequest | None:
        if self.phases[-1] == "evaluating":
            self.rounds.append(torch.backends.cudnn.allow_tf32)
        return super().stop_requested()


@pytest.mark.long
def test_the_test_split_is_scored_in_full_precision_because_a_cpu_has_to_confirm_it(
    tmp_path: Path, cache: Path
) -> None:
    before, seen = torch.backends.cudnn.allow_tf32, Precision()
    assert before  # torch's default, in which networks train
    search(tmp_path, cache, recorder=seen)
    assert seen.rounds
    assert not any(seen.rounds)
    assert torch.backends.cudnn.allow_tf32 == before
