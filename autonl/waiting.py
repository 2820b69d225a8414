"""How long a client waits for what the service does, and how it looks again."""

from __future__ import annotations

import time

from autonl.errors import WaitTimeout
from autonl.steps import Call, Pause

PATIENCE_S = 60.0  # how long waiting goes on while the service does not respond
POLL_S = 1.0  # unless the service says otherwise


def wait_for_next_look(began: float, timeout_s: float | None, poll_s: float | None, state: str) -> Call[None]:
    """Wait before the next look. Raises WaitTimeout, with the state, once the caller has waited for `timeout_s`."""
    left_s = float("inf") if timeout_s is None else timeout_s - (time.monotonic() - began)
    if left_s <= 0:
        raise WaitTimeout(f"{state} after {timeout_s:g} s", ["it goes on; wait again"])
    yield Pause(min(poll_s or POLL_S, left_s))
