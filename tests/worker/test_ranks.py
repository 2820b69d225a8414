"""How many processes share a search, and how they are started."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.servers import wait_for
from worker.process_tree import process_groups
from worker.ranks import in_ranks, sharing


@pytest.mark.parametrize(
    ("batch_parts", "limit", "ranks"), [(1, 8, 1), (8, 1, 1), (8, 8, 8), (8, 7, 4), (6, 4, 3), (7, 4, 1)]
)
def test_as_many_ranks_share_a_search_as_divide_its_parts(batch_parts: int, limit: int, ranks: int) -> None:
    assert sharing(batch_parts, limit) == ranks


def test_one_rank_is_started_as_ever() -> None:
    command = ("python", "-m", "worker.search_process", "1", "2")
    assert in_ranks(command, 1) == command
    assert in_ranks(command, 2)[-7:] == ("autonl_core.parallel", "2", *command)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_groups_of_a_process_are_its_own_and_those_of_sessions_that_it_started() -> None:
    code = "import subprocess, sys; subprocess.run(['sleep', '60'], start_new_session='apart' in sys.argv)"
    for apart in ((), ("apart",)):
        process = subprocess.Popen([sys.executable, "-c", code, *apart], start_new_session=True)
        try:
            wait_for(lambda: len(process_groups(process.pid)) == 1 + len(apart), "its groups are seen")  # noqa: B023
            assert process_groups(process.pid)[0] == process.pid
        finally:
            for group in process_groups(process.pid):
                os.killpg(group, 9)
            process.wait()
