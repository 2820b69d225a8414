"""`python -m autonl_core.parallel RANKS MODULE ARGUMENTS...`: run a module as so many ranks, and end as they do."""

from __future__ import annotations

import sys

from autonl_core.host.interpreter import module_command
from autonl_core.host.parent import end_with_parent


def main(ranks: int, module: str, arguments: list[str]) -> int:
    """Run it; returns the exit code."""
    end_with_parent()
    from autonl_core.parallel.launch import end_as, launch  # loads torch

    return end_as(launch(ranks, module_command(module, *arguments)))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
