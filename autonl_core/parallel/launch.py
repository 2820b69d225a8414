"""Starts the ranks of a search, by `torch.distributed.elastic`, and ends as they do.

All of them on this machine. They find each other by files in a folder that only their user can read, and speak over the
loopback interface: no port is open to others. They inherit standard input, so what is written there reaches one of
them, and its end all of them.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, launch_agent

from autonl_core.host.environment import folder_of_launch

_STOP_S = 5  # until a rank is killed that does not end on request, once another one has failed
_SAYS_LITTLE = (1, os.EX_SOFTWARE)  # exit codes of a program that did not expect what happened


def launch(ranks: int, command: Sequence[str]) -> int:
    """Run `command` as so many ranks and wait for all. If one fails, the others are ended.

    Returns:
        0 if all have ended well, else the exit code of the one that failed; negative: the signal that ended it.
    """
    with tempfile.TemporaryDirectory(prefix="autonl-ranks-") as folder:
        run_id = Path(folder).name
        assert folder_of_launch(run_id) == Path(folder)
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=ranks,
            run_id=run_id,
            rdzv_backend="c10d",
            rdzv_endpoint=str(Path(folder) / "launch"),
            rdzv_configs={"store_type": "file"},
            local_addr="127.0.0.1",
            max_restarts=0,  # who runs the search decides that, from its newest run state
            shutdown_timeout=_STOP_S,
        )
        try:
            launch_agent(config, command[0], list(command[1:]))
        except ChildFailedError as error:
            return code_of({rank: failure.exitcode for rank, failure in error.failures.items()})
    return 0


def code_of(failures: Mapping[int, int]) -> int:
    """What says most about why ranks failed, by their exit codes: those that lose a rank fail after it.

    A signal, then the code of the first rank that knew what happened.
    """
    by_rank = [failures[rank] for rank in sorted(failures)]
    signals = [code for code in by_rank if code < 0 and code != -signal.SIGTERM]  # by which the rest is ended
    known = [code for code in by_rank if code > 0 and code not in _SAYS_LITTLE]
    return (signals + known + by_rank)[0]


def end_as(code: int) -> int:
    """`code` as an exit code; if it is negative, this process ends by that signal instead."""
    if code < 0:
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code
