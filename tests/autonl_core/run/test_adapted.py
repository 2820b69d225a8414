"""What a search has once its pretrained network is adapted, in memory and in run states."""

from __future__ import annotations

import torch

from autonl_core.run.adapted import Adapted
from autonl_core.spec.space_families import get_space
from tests.autonl_core.bundle.small_bundle import lively

CPU = torch.device("cpu")


def test_a_run_state_keeps_the_width_of_the_head() -> None:
    teacher = lively(get_space("tiny", 8, 10).largest())
    adapted = Adapted(teacher, 8, 91.5, (), head_channels=16)
    again = Adapted.from_state(adapted.to_state(), CPU)
    assert (again.resolution, again.teacher_val_top1_pct, again.head_channels) == (8, 91.5, 16)
    assert again.beginning.arch.head_channels == 16
    assert again.teacher.arch == teacher.arch


def test_searches_of_earlier_versions_go_on_with_the_head_of_their_teacher() -> None:
    teacher = lively(get_space("tiny", 8, 10).largest())
    state = dict(Adapted(teacher, 8).to_state())
    del state["head_channels"]
    again = Adapted.from_state(state, CPU)
    assert again.beginning is again.teacher
