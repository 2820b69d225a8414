"""Searches within a limit of latency: what they find, and that the table is part of what they depend on."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from autonl_core.errors import CheckpointError, Interrupted
from autonl_core.spec.arch_string import decode
from autonl_core.spec.macs import count_macs
from autonl_core.spec.space_families import get_space
from tests.autonl_core.device_tables import made_up_table
from tests.autonl_core.small_searches import QUICK, SHORT_TRAINING, Recorder, search

TABLE = made_up_table("tiny", 8)
AT_MOST_MS = 0.18  # of what networks within the budget take, the faster part
LIMIT: dict[str, Any] = {
    "constraints": {"latency_ms": AT_MOST_MS},
    "train": SHORT_TRAINING,
    "supernet": {**QUICK["supernet"], "epochs": 1, "candidates": 4, "generations": 0, "finalists": 1},
}


def predicted_ms(arch_string: str) -> float:
    return TABLE.network_ns(decode(arch_string)) / 1e6


@pytest.mark.long
def test_every_network_on_the_way_keeps_to_the_limit_and_a_resumed_search_ends_with_the_same_bits(
    tmp_path: Path, cache: Path
) -> None:
    space, rng, recorder = get_space("tiny", 8, 10), random.Random(0), Recorder()
    inside = [
        arch for arch in (space.sample(rng) for _ in range(100)) if count_macs(arch).total <= QUICK["flops_budget"]
    ]
    slow = [arch for arch in inside if TABLE.network_ns(arch) / 1e6 > AT_MOST_MS]
    assert 0.1 < len(slow) / len(inside) < 0.9  # the limit matters
    whole = search(tmp_path / "whole", cache, recorder=recorder, device_table=TABLE, **LIMIT)
    records = [whole.architecture, *recorder.best]
    found = {each.arch_string for each in records} | {each.arch_string for each in whole.networks}
    assert all(predicted_ms(each) <= AT_MOST_MS for each in found)
    assert len({network.arch_string for network in whole.networks}) > 1

    stopped = Recorder(stop_at=12)
    with pytest.raises(Interrupted):
        search(tmp_path / "stopped", cache, recorder=stopped, device_table=TABLE, **LIMIT)
    resumed = search(tmp_path / "resumed", cache, device_table=TABLE, resume_from=stopped.states, **LIMIT)
    assert resumed.weights_sha256 == whole.weights_sha256
    other = made_up_table("tiny", 8, scale=1.2)
    with pytest.raises(CheckpointError, match="another search: constraints was"):
        search(tmp_path / "other", cache, device_table=other, resume_from=stopped.states, **LIMIT)
