"""Whether a device table is the one that a search needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autonl_core.errors import DeviceTableError
from autonl_core.spec.builtin_weights import installed_weights
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.device_search import as_without_latency, faults_of, with_device_table
from autonl_core.spec.device_table import Calibration
from tests.autonl_core.device_tables import made_up_table
from tests.autonl_core.digit_archives import few_digits

TABLE = made_up_table("tiny", 8)
DIGITS = few_digits()  # of 8 pixels


def asked(**changes: Any) -> SearchConfig:
    return SearchConfig.model_validate(
        {"dataset": "digits", "flops_budget": "400k", "constraints": {"latency_ms": 0.3}, **changes}
    )


def test_the_search_is_in_the_space_and_at_the_resolution_of_the_table() -> None:
    config = with_device_table(asked(), DIGITS, TABLE)
    assert (config.search_space, config.resolution) == ("tiny", 8)
    assert config.constraints.table is TABLE
    assert config.constraints.device_table_sha256 == TABLE.sha256


def test_a_search_without_the_limit_stays_as_it_is() -> None:
    plain = asked(constraints={})
    assert with_device_table(plain, DIGITS, None) is plain
    with pytest.raises(DeviceTableError, match=r"set constraints\.latency_ms"):
        with_device_table(plain, DIGITS, TABLE)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"resolution": 16}, r"search is in 'tiny' at 16.*measure --space tiny --resolution 16"),
        ({"resolution": 32}, "search is in 'mobile-32' at 32; set resolution: 8 and search_space: tiny, or measure"),
        ({"search_space": "mobile-32", "resolution": 32}, "measure --space mobile-32 --resolution 32 --threads 1"),
        ({"constraints": {"latency_ms": 0.3, "device_table_sha256": "0" * 64}}, "configured for the device table 000"),
    ],
)
def test_a_table_of_something_else_is_refused_with_what_to_measure(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DeviceTableError, match=said):
        with_device_table(asked(**changes), DIGITS, TABLE)


def test_a_search_without_a_table_is_told_how_to_make_one() -> None:
    with pytest.raises(DeviceTableError, match="autonl device measure --space tiny --resolution 8"):
        with_device_table(asked(), DIGITS, None)


@pytest.mark.parametrize(
    ("image_size", "budget", "found"),
    [(8, "400k", ("tiny", 8, "none")), (300, "40M", ("lite", 96, "efficientnet-lite0"))],
)
def test_what_to_measure_is_what_is_searched_without_the_limit(
    image_size: int, budget: str, found: tuple[str, int, str]
) -> None:
    """Photos start from pretrained weights, at the resolution that is the most promising for the budget."""
    photos = replace(DIGITS, image_size=image_size)
    config = as_without_latency(asked(flops_budget=budget, init="auto"), photos, installed_weights())
    assert (config.search_space, config.resolution, config.init) == found
    assert config.constraints.latency_ms == 0.3


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        ({"space": "nowhere"}, ("space",), "is of another space: search space 'nowhere' is unknown"),
        ({"resolution": 99}, ("resolution",), "'tiny' does not serve 99 pixels"),
        ({"ends_ns": {}}, ("ends_ns", "128"), "has no time of a head of 128 channels"),
        ({"blocks_ns": {**TABLE.blocks_ns, "odd": 1}}, ("blocks_ns", "odd"), "'odd', which the space does not have"),
        (
            {"calibration": Calibration(overhead_ns=-1e8, scale=1, networks=())},
            ("calibration", "overhead_ns"),
            "no time",
        ),
    ],
)
def test_what_keeps_a_table_from_being_used_is_said_with_its_place(
    change: dict[str, Any], place: tuple[str, ...], said: str
) -> None:
    (fault,) = faults_of(TABLE.model_copy(update=change))
    assert (fault.place, said in fault.detail) == (place, True), fault


def test_a_table_as_it_is_measured_has_no_fault() -> None:
    for space, resolution in (("tiny", 8), ("mobile-32", 32), ("lite", 128)):
        assert list(faults_of(made_up_table(space, resolution))) == []


def test_a_table_that_lacks_a_block_of_the_space_is_refused() -> None:
    blocks_ns = dict(TABLE.blocks_ns)
    lost, _ = blocks_ns.popitem()
    with pytest.raises(DeviceTableError, match=f"no time of block '{lost}'"):
        with_device_table(asked(), DIGITS, TABLE.model_copy(update={"blocks_ns": blocks_ns}))
