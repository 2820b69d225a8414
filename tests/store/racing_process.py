"""One of several processes that race for searches until none is left: `python -m tests.store.racing_process ROLE`.

The role "claim" claims and ends searches as fast as it can; "sweep" sweeps and notifies, and prints how many attempts
it ended.
"""

from __future__ import annotations

import sys

from store.settings import Settings
from store.states import SearchState
from store.stores import Stores, open_stores


def claim(stores: Stores) -> None:
    while is_anything_left(stores):
        while (lease := stores.claims.claim("racer")) is not None:
            stores.claims.fail(lease, "raced", "finished by a racer")


def sweep(stores: Stores) -> None:
    swept = 0
    while is_anything_left(stores):
        swept += len(stores.sweeps.sweep())
        stores.sweeps.due_notifications()
    print(swept, flush=True)


def is_anything_left(stores: Stores) -> bool:
    counts = stores.searches.count_by_state()
    return counts[SearchState.QUEUED] + counts[SearchState.RUNNING] > 0


if __name__ == "__main__":
    opened = open_stores(Settings())
    print("ready", flush=True)
    sys.stdin.readline()  # all start together
    {"claim": claim, "sweep": sweep}[sys.argv[1]](opened)
    opened.close()
