"""One process alone, which is every search by default; and how several end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from autonl_core.errors import RanksError
from autonl_core.host.environment import folder_of_launch, launched_rank
from autonl_core.parallel.launch import code_of
from autonl_core.parallel.ranks import ALONE, Ranks, device_of, join, require_shareable
from autonl_core.parallel.stopping import agreed_stop
from autonl_core.spec.progress import Silent


def test_a_process_that_was_not_launched_as_a_rank_is_alone() -> None:
    assert launched_rank() is None
    assert join("cpu") is ALONE
    assert ALONE.alone
    assert ALONE.leads


def test_a_launched_process_knows_its_rank_and_where_the_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "autonl-ranks-x"), ("RANK", "1"), ("WORLD_SIZE", "4")):
        monkeypatch.setenv(name, value)
    launched = launched_rank()
    assert launched is not None
    assert (launched.rank, launched.size) == (1, 4)
    assert Path(launched.store) == folder_of_launch("autonl-ranks-x") / "store"


def test_alone_there_is_nobody_to_ask() -> None:
    values = torch.ones(2)
    assert ALONE.gather(values)[0] is values
    assert ALONE.largest(3) == 3
    assert ALONE.all_or_none(lambda: 7) == 7
    assert agreed_stop(Silent(), ALONE) is None
    ALONE.require_same("run states", 5)
    with ALONE.leader_first():
        pass


def test_alone_memory_that_runs_out_keeps_its_own_error() -> None:
    def run_out() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        ALONE.all_or_none(run_out)


def test_each_rank_has_a_gpu_of_its_own_unless_one_is_named() -> None:
    second = Ranks(1, 2)
    assert [device_of(name, second) for name in ("cpu", "cuda", "cuda:3")] == ["cpu", "cuda:1", "cuda:3"]
    assert device_of("cuda", ALONE) == "cuda"


def test_ranks_must_divide_the_parts() -> None:
    require_shareable(8, 4)
    with pytest.raises(RanksError, match="3 ranks cannot share batches of batch_parts 8: set"):
        require_shareable(8, 3)


@pytest.mark.parametrize(
    ("failures", "code"),
    [
        ({1: -signal.SIGKILL, 0: 70}, -signal.SIGKILL),  # rank 0 lost its connection to the one that was killed
        ({0: 76}, 76),
        ({0: 70, 1: 71}, 71),  # what rank 1 knew says more
        ({0: 2, 1: -signal.SIGTERM}, 2),
        ({1: 1}, 1),
    ],
)
def test_a_launch_ends_as_the_rank_that_says_most(failures: dict[int, int], code: int) -> None:
    assert code_of(failures) == code


def test_being_alone_loads_nothing_of_torch() -> None:
    code = "import sys, autonl_core.parallel.ranks, autonl_core.run.host_options; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
