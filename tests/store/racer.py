"""One of several processes that claim and finish searches as fast as they can: `python racer.py`."""

from __future__ import annotations

import sys

from store.settings import Settings
from store.states import SearchState
from store.stores import open_stores

stores = open_stores(Settings())
print("ready", flush=True)
sys.stdin.readline()  # all start together
while True:
    lease = stores.claims.claim("racer")
    if lease is not None:
        stores.claims.fail(lease, "raced", "finished by a racer")
    elif stores.searches.count_by_state()[SearchState.QUEUED] == 0:
        break
