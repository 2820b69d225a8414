"""Keeping freed memory: large blocks are reused without page faults, where by default every page faults again."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Takes, fills and frees 48 MiB again and again, and prints how many pages the last ten rounds had to fault in for it.
FAULTS = """
import resource, sys
from autonl_core.host.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
import torch
for round in range(40):
    if round == 30:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(12 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True, timeout=60)
    return int(done.stdout)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is Linux's")
def test_blocks_are_reused_without_faulting_their_pages_again() -> None:
    assert page_faults("keep") < page_faults("default") / 10
