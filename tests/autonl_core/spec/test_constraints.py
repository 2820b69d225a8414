"""What can be limited besides MACs: counted by formula, by option, and on a live network."""

from __future__ import annotations

import random

import pytest
from pydantic import ValidationError

from autonl_core.errors import ConstraintError
from autonl_core.nn.network import Network
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import CONSTRAINED, Constrained, Constraints
from autonl_core.spec.constraints import MEASURES, check_constraints, missed_by_all
from autonl_core.spec.space_families import get_space
from autonl_core.supernet.gates import GateTable

SPACES = [("tiny", 8), ("mobile-32", 32), ("lite", 80), ("mobile-224", 160)]


@pytest.mark.parametrize(("name", "resolution"), SPACES)
def test_what_options_have_adds_up_to_what_a_network_has(name: str, resolution: int) -> None:
    summed: tuple[Constrained, ...] = ("params", "weights_bytes")
    table = GateTable(get_space(name, resolution, 7), Constraints(params=10**9, weights_bytes=10**9))
    assert [limit.name for limit in table.limits] == list(summed)
    rng = random.Random(0)
    for _ in range(20):
        choice = tuple(rng.randrange(len(options)) for options in table.options)
        counted = [MEASURES[each].of(table.arch(choice)) for each in summed]
        assert [limit.of(choice) for limit in table.limits] == counted


@pytest.mark.parametrize(("name", "resolution"), SPACES)
def test_options_within_a_limit_of_activations_are_what_makes_a_network_meet_it(name: str, resolution: int) -> None:
    space, rng = get_space(name, resolution, 7), random.Random(1)
    peak = MEASURES["peak_activation_bytes"].of
    at_most = (peak(space.smallest()) + peak(space.largest())) // 2
    table = GateTable(space, Constraints(peak_activation_bytes=at_most))
    allowed = set()
    for _ in range(60):
        choice = tuple(rng.randrange(len(options)) for options in table.options)
        allowed.add(table.allows(choice))
        assert table.allows(choice) == (peak(table.arch(choice)) <= at_most)
    assert False in allowed


@pytest.mark.parametrize("name", CONSTRAINED)
@pytest.mark.parametrize(("space", "resolution"), SPACES)
def test_the_network_with_the_fewest_macs_has_the_least_of_everything(
    name: Constrained, space: str, resolution: int
) -> None:
    bound, rng = get_space(space, resolution, 7), random.Random(2)
    least = MEASURES[name].of(bound.smallest())
    assert all(MEASURES[name].of(bound.sample(rng)) >= least for _ in range(50))


@pytest.mark.parametrize(("name", "resolution"), [("mobile-32", 32), ("lite", 64)])
def test_bytes_of_weights_are_those_of_the_network_with_its_batch_norms_folded(name: str, resolution: int) -> None:
    arch = get_space(name, resolution, 5).sample(random.Random(3))
    fused = Network(arch).eval().fuse()
    held = sum(p.numel() * p.element_size() for p in (*fused.parameters(), *fused.buffers()))
    assert held == MEASURES["weights_bytes"].of(arch)


def test_limits_are_written_like_budgets_and_stored_only_where_there_are_some() -> None:
    plain = SearchConfig.model_validate({"dataset": "digits", "flops_budget": "400k"})
    assert "constraints" not in plain.to_json()  # the last release does not know them
    limited = SearchConfig.model_validate(
        {"dataset": "digits", "flops_budget": "400k", "constraints": {"params": "20k", "weights_bytes": 70_000}}
    )
    assert limited.constraints.limits == {"params": 20_000, "weights_bytes": 70_000}
    assert SearchConfig.stored(limited.to_json()) == limited
    with pytest.raises(ValidationError, match="must be an integer or a text such as"):
        Constraints.model_validate({"params": "many"})


def test_a_limit_that_no_network_meets_is_refused_with_what_the_smallest_one_needs() -> None:
    space = get_space("mobile-32", 32, 10)
    needed = MEASURES["params"].of(space.smallest())
    check_constraints(Constraints(params=needed), [space])
    with pytest.raises(ConstraintError, match=rf"constraints.params {needed - 1:,} is below the {needed:,}") as refused:
        check_constraints(Constraints(params=needed - 1), [space])
    assert (refused.value.name, refused.value.least) == ("params", needed)


def test_of_several_spaces_one_has_to_meet_all_limits() -> None:
    spaces = [get_space("lite", resolution, 10) for resolution in (64, 128)]
    peak = MEASURES["peak_activation_bytes"].of
    constraints = Constraints(peak_activation_bytes=peak(spaces[0].smallest()))
    check_constraints(constraints, spaces)
    assert missed_by_all(constraints, spaces[1])
    with pytest.raises(ConstraintError, match=r"at 128 pixels .* or a lower `resolution`"):
        check_constraints(constraints, spaces[1:])
