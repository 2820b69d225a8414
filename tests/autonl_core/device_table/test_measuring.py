"""Measuring this machine, in few rounds."""

from __future__ import annotations

import pytest

from autonl_core.device_table.measuring import CLASSES, FITTED, HELD_OUT, Measurement
from autonl_core.device_table.parts import empty_model, network_model
from autonl_core.device_table.timer import Model
from autonl_core.device_table.timing import time_models
from autonl_core.spec.arch_string import decode
from autonl_core.spec.device_table import DeviceTable, distinct_blocks
from autonl_core.spec.space_families import get_space, require_space


def test_a_model_is_timed_in_times_of_the_reference_beside_it() -> None:
    slow = get_space("mobile-32", 32, 10).largest()
    shares: list[float] = []
    timed = time_models([Model(empty_model(), 1), Model(network_model(slow), 1)], 1, 4, shares.append)
    empty_ns, slow_ns = timed.times_ns()
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert 0 < empty_ns < timed.reference_ns < slow_ns
    assert timed.times_ns(2 * timed.reference_ns)[1] == pytest.approx(2 * slow_ns, rel=0.01)


@pytest.mark.long
def test_a_table_has_every_distinct_block_once_and_says_how_well_it_predicts() -> None:
    shares: list[float] = []
    table = Measurement.prepare(require_space("tiny"), 8, 1).run(6, shares.append)
    space = get_space("tiny", 8, 10)
    assert table.blocks_ns.keys() == distinct_blocks(space).keys()
    assert {head: set(times) for head, times in table.ends_ns.items()} == {"128": set(map(str, CLASSES))}
    assert shares[-1] == 1.0
    networks = table.calibration.networks
    assert [network.held_out for network in networks].count(True) == HELD_OUT
    assert len(networks) == FITTED + HELD_OUT
    assert all(network.predicted_ns == table.network_ns(decode(network.arch_string)) for network in networks)
    assert DeviceTable.model_validate_json(table.to_text()) == table
    largest, smallest = table.network_ns(space.largest()), table.network_ns(space.smallest())
    assert largest > 1.5 * smallest
