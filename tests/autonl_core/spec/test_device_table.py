"""A device table as a file, and what it says of networks."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from autonl_core.errors import ConstraintError, DeviceTableError
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import Constraints
from autonl_core.spec.constraints import check_constraints, measures_of, missed_by_all
from autonl_core.spec.device_table import DeviceTable, distinct_blocks
from autonl_core.spec.macs import block_sizes
from autonl_core.spec.search_request import SearchRequest
from autonl_core.spec.space_families import get_space
from autonl_core.supernet.budget import band, band_within, project
from autonl_core.supernet.gates import GateTable
from tests.autonl_core.device_tables import OVERHEAD_NS, STEM_NS, made_up_table

TABLE = made_up_table("mobile-32", 32)


def test_a_file_is_read_back_and_its_hash_does_not_depend_on_its_layout(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_text(TABLE.to_text())
    assert DeviceTable.read(file) == TABLE
    shuffled = dict(reversed(json.loads(file.read_text()).items()))
    file.write_text(json.dumps(shuffled))
    assert DeviceTable.read(file).sha256 == TABLE.sha256
    assert made_up_table("mobile-32", 32, scale=1.3).sha256 != TABLE.sha256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version"),
        ({"stem_ns": -1}, "stem_ns"),
        ({"ends_ns": {"256": {"10": 5}}}, "two numbers of"),
        ({"space": "a\0"}, "space"),
    ],
)
def test_a_file_that_is_no_device_table_is_refused_with_the_place(
    change: dict[str, object], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "table.json"
    file.write_text(json.dumps(json.loads(TABLE.to_text()) | change))
    with pytest.raises(DeviceTableError, match=f"table.json is no device table: .*{said}"):
        DeviceTable.read(file)


def test_a_network_takes_its_overhead_and_the_scaled_sum_of_its_parts() -> None:
    space = get_space("mobile-32", 32, 10)
    arch = space.sample(random.Random(0))
    blocks_ns = [
        TABLE.blocks_ns[key]
        for block, size in zip(arch.blocks, block_sizes(arch), strict=False)
        for key, known in distinct_blocks(space).items()
        if known == (block, size)
    ]
    ends_ns = TABLE.ends_ns["256"]["10"]
    expected = OVERHEAD_NS + TABLE.calibration.scale * (STEM_NS + ends_ns + sum(blocks_ns))
    assert TABLE.network_ns(arch) == pytest.approx(expected, abs=len(blocks_ns) + 1)  # each is rounded


def test_identical_blocks_are_one_entry() -> None:
    space = get_space("mobile-32", 32, 10)
    positions = sum(option is not None for choices in space.blocks for option in choices.options())
    assert len(distinct_blocks(space)) < positions / 2


def test_classifiers_of_other_numbers_of_classes_lie_on_lines() -> None:
    ten, hundred, between = (TABLE.fixed_ns(256, classes) for classes in (10, 100, 55))
    assert between == pytest.approx((ten + hundred) / 2, abs=1)
    assert TABLE.fixed_ns(256, 1900) > TABLE.fixed_ns(256, 1000) > hundred
    assert TABLE.fixed_ns(256, 2) < ten


def test_what_was_not_measured_is_named_with_the_command_that_measures_it() -> None:
    block, _ = next(iter(distinct_blocks(get_space("mobile-32", 32, 10)).values()))
    with pytest.raises(
        DeviceTableError, match=r"'16@31 ds_r1.*autonl device measure --space mobile-32 --resolution 32"
    ):
        TABLE.block_ns(block, 31)
    with pytest.raises(DeviceTableError, match="no head of 96 channels"):
        TABLE.fixed_ns(96, 10)


class TestLimit:
    def test_options_add_up_to_what_the_table_says_of_a_network(self) -> None:
        gates = GateTable(get_space("mobile-32", 32, 7), Constraints(latency_ms=3.0).on(TABLE))
        (limit,) = gates.limits
        assert limit.at_most == 3_000_000
        rng = random.Random(0)
        for _ in range(20):
            choice = tuple(rng.randrange(len(options)) for options in gates.options)
            assert limit.of(choice) == TABLE.network_ns(gates.arch(choice))

    def test_a_network_is_projected_into_it_and_uses_it(self) -> None:
        at_most_ms = 1.0
        gates = GateTable(get_space("mobile-32", 32, 10), Constraints(latency_ms=at_most_ms).on(TABLE))
        scores = [costs / costs.max() for costs in gates.costs]  # the larger, the better
        found = project(gates, scores, *band_within(gates, gates.macs_range()[1]))
        assert 0.97 * at_most_ms < TABLE.network_ns(gates.arch(found.choice)) / 1e6 <= at_most_ms

    @pytest.mark.parametrize("at_most_ms", [0.4, 0.7, 1.0, 1.3])
    def test_whatever_is_liked_the_network_fills_it_where_the_budget_is_out_of_reach(self, at_most_ms: float) -> None:
        gates = GateTable(get_space("mobile-32", 32, 10), Constraints(latency_ms=at_most_ms).on(TABLE))
        scores = [-costs / costs.max() for costs in gates.costs]  # the smaller, the better
        band = band_within(gates, gates.macs_range()[1])
        assert band.fills
        found = project(gates, scores, *band)
        assert 0.95 * at_most_ms <= TABLE.network_ns(gates.arch(found.choice)) / 1e6 <= at_most_ms
        assert found.in_band

    def test_where_the_budget_decides_none_has_to_fill_it(self) -> None:
        gates = GateTable(get_space("mobile-32", 32, 10), Constraints(latency_ms=1.3).on(TABLE))
        budget_macs = 5_000_000
        assert band_within(gates, budget_macs) == (*band(budget_macs), False)

    def test_one_that_no_network_meets_is_refused_with_the_least_that_is_possible(self) -> None:
        space = get_space("mobile-32", 32, 10)
        least_ns = measures_of(Constraints(latency_ms=1.0).on(TABLE))["latency_ms"].least_of(space)
        assert least_ns == TABLE.network_ns(space.smallest())  # where times follow MACs
        check_constraints(Constraints(latency_ms=(least_ns + 1) / 1e6).on(TABLE), [space])
        missed = Constraints(latency_ms=(least_ns - 1000) / 1e6).on(TABLE)
        assert missed_by_all(missed, space) == {"latency_ms": least_ns}
        with pytest.raises(
            ConstraintError, match=rf"below the {least_ns / 1e6:.3f} ms by the device table of the fast"
        ):
            check_constraints(missed, [space])

    def test_the_least_is_that_of_the_fastest_options_not_of_those_with_the_fewest_macs(self) -> None:
        space = get_space("mobile-32", 32, 10)
        smallest = space.smallest_options()[0]
        assert smallest is not None
        slow = next(key for key, (block, _) in distinct_blocks(space).items() if block == space.smallest_options()[1])
        table = TABLE.model_copy(update={"blocks_ns": TABLE.blocks_ns | {slow: 10**9}})
        measure = measures_of(Constraints(latency_ms=1.0).on(table))["latency_ms"]
        assert measure.least_of(space) < table.network_ns(space.smallest())

    def test_without_a_table_it_says_nothing(self) -> None:
        with pytest.raises(DeviceTableError, match="--device-table"):
            GateTable(get_space("mobile-32", 32, 10), Constraints(latency_ms=3.0))

    def test_the_stored_search_has_the_hash_of_the_table_and_not_the_table(self) -> None:
        config = SearchConfig(dataset="digits", flops_budget=400_000, constraints=Constraints(latency_ms=3.0).on(TABLE))
        stored = config.to_json()["constraints"]
        assert (stored["latency_ms"], stored["device_table_sha256"]) == (3.0, TABLE.sha256)
        assert config.model_copy(update={"seed": 1}).constraints.table is TABLE
        plain = SearchConfig.model_validate({"dataset": "digits", "flops_budget": "400k", "constraints": {"params": 9}})
        assert plain.to_json()["constraints"].keys() == {"params", "weights_bytes", "peak_activation_bytes"}

    def test_a_search_says_which_device_it_is_for(self) -> None:
        body = {"dataset": "digits", "flops_budget": "400k", "constraints": {"latency_ms": 3.0, "device": "pixel"}}
        asked = SearchRequest.model_validate(body)
        assert asked.constraints.device == "pixel"
        with pytest.raises(ValueError, match="no spaces, and no accents"):
            SearchRequest.model_validate(body | {"constraints": {"device": "my phone"}})
