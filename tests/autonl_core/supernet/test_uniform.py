"""The uniform slice of a network within a budget."""

from __future__ import annotations

import pytest

from autonl_core.nn.network import build_network
from autonl_core.spec.macs import count_macs
from autonl_core.spec.published_net import adapt
from autonl_core.spec.space_families import get_space
from autonl_core.spec.zoo import ZOO
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.uniform import uniform_slice


@pytest.mark.parametrize(("resolution", "budget_macs"), [(96, 40_000_000), (96, 60_000_000), (64, 20_000_000)])
def test_it_is_the_network_with_every_expansion_alike_within_the_budget(resolution: int, budget_macs: int) -> None:
    lite0 = build_network(adapt(ZOO["efficientnet_lite0"].arch, resolution=resolution, num_classes=10))
    table = GateTable(get_space("lite", resolution, 10))
    choice = uniform_slice(table, lite0, budget_macs)
    assert 0.97 * budget_macs <= table.macs(choice) <= budget_macs
    blocks = table.arch(choice).blocks
    assert len(blocks) == len(lite0.arch.blocks)  # no layer is skipped
    assert not any(block.light_nl for block in blocks)
    ratios = [block.expand_ratio for block in blocks[1:]]
    allowed = [2.0, 3.0, 4.0, 6.0]
    assert allowed.index(max(ratios)) - allowed.index(min(ratios)) <= 1


def test_at_the_macs_of_the_network_it_is_the_network() -> None:
    lite0 = build_network(adapt(ZOO["efficientnet_lite0"].arch, resolution=96, num_classes=10))
    table = GateTable(get_space("lite", 96, 10))
    whole = uniform_slice(table, lite0, count_macs(lite0.arch).total)
    assert table.arch(whole) == lite0.arch
