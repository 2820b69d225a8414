"""How many processes compute a search together, and the command that starts them."""

from __future__ import annotations

from collections.abc import Sequence

from autonl_core.host.interpreter import module_command


def sharing(batch_parts: int, limit: int) -> int:
    """The largest number of ranks up to `limit` that can share batches of so many parts."""
    return next(ranks for ranks in range(min(limit, batch_parts), 0, -1) if batch_parts % ranks == 0)


def in_ranks(command: Sequence[str], ranks: int) -> Sequence[str]:
    """The command that runs `command` as so many ranks; of one, `command` itself."""
    return command if ranks == 1 else module_command("autonl_core.parallel", str(ranks), *command)
