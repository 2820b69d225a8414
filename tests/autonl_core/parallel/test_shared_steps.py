"""Two processes and one compute the same bits; what happens to one of them, all of them do."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from autonl_core.host.interpreter import module_command
from autonl_core.parallel.launch import launch
from autonl_core.parallel.ranks import ALONE
from tests.autonl_core.parallel.shared_steps import measure, trained_by_whole_batches
from worker.exit_codes import ExitCode

pytestmark = pytest.mark.long
MODULE = "tests.autonl_core.parallel.shared_steps"


def command(*arguments: str) -> tuple[str, ...]:
    return tuple(part for part in module_command(MODULE, *arguments) if part != "-P")  # the tests are right here


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two ranks has in the end."""
    folder = tmp_path_factory.mktemp("ranks")
    assert launch(2, command(str(folder))) == 0
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


def test_weights_averages_gates_and_scores_are_those_of_one_process(found: list[dict[str, Any]]) -> None:
    alone = measure(ALONE)
    assert found[0]["measured"] == alone
    assert found[1]["measured"] == alone


def test_statistics_of_whole_batches_are_within_1e_5_of_those_of_one_process_after_four_epochs(
    found: list[dict[str, Any]],
) -> None:
    alone = trained_by_whole_batches(ALONE)
    assert found[0]["by whole batches"] == found[1]["by whole batches"]
    for name, value in found[0]["by whole batches"].items():
        torch.testing.assert_close(torch.tensor(value), torch.tensor(alone[name]), rtol=1e-5, atol=1e-5, msg=name)


def test_memory_that_runs_out_on_one_rank_divides_the_batches_of_all(found: list[dict[str, Any]]) -> None:
    agreed = [each["agreed"] for each in found]
    assert [each["micro-batches"] for each in agreed] == [2, 2]
    assert agreed[0]["short"] == agreed[1]["short"]


def test_a_step_that_is_lost_on_one_rank_is_lost_on_all(found: list[dict[str, Any]]) -> None:
    agreed = [each["agreed"] for each in found]
    assert [each["averaged steps"] for each in agreed] == [each["steps"] - 1 for each in agreed]
    assert agreed[0]["lost"] == agreed[1]["lost"]


def test_a_stop_that_one_rank_is_asked_for_stops_all(found: list[dict[str, Any]]) -> None:
    assert [each["agreed"]["stop"] for each in found] == ["pause", "pause"]


def test_ranks_that_found_different_run_states_say_so(found: list[dict[str, Any]]) -> None:
    assert all("different run states" in each["agreed"]["differ"] for each in found)


def test_they_agree_within_ten_seconds(found: list[dict[str, Any]]) -> None:
    assert max(each["agreed"]["seconds"] for each in found) < 10


def test_a_rank_whose_memory_runs_out_while_others_wait_for_its_statistics_ends_all() -> None:
    """They cannot agree on smaller micro-batches; the next attempt begins with these."""
    assert launch(2, command()) == ExitCode.OUT_OF_MEMORY
