"""`python -m autonl_core.parallel RANKS COMMAND...`: run a command as so many ranks, and end as they do."""

from __future__ import annotations

import sys

from autonl_core.host.parent import end_with_parent


def main(ranks: int, command: list[str]) -> int:
    """Run it; returns the exit code."""
    end_with_parent()
    from autonl_core.parallel.launch import end_as, launch  # loads torch

    return end_as(launch(ranks, command))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
