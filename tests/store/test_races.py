"""Several processes at one database: every search runs exactly once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from store.searches import SearchFilter
from store.settings import Settings
from store.stores import Stores
from tests.store.samples import kinds, queue_search

RACERS = 6
SEARCHES = 24


def test_six_processes_run_each_search_exactly_once(stores: Stores, settings: Settings, database_url: str) -> None:
    for _ in range(SEARCHES):
        queue_search(stores)
    environment = os.environ | {"DATABASE_URL": database_url, "AUTONL_DATA_DIR": str(settings.data_dir)}
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.store.racer"],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(RACERS)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == b"ready\n"
    for racer in racers:
        racer.communicate(b"go\n", timeout=60)
        assert racer.returncode == 0
    searches = stores.searches.list(SearchFilter(), page_size=200).searches
    assert len(searches) == SEARCHES
    assert {(search.state, search.attempts) for search in searches} == {("failed", 1)}
    assert {tuple(kinds(stores, search.id)) for search in searches} == {("created", "claimed", "failed")}
