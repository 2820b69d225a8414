"""Shared by all tests: repeatable examples, a clean environment, one set of servers, distribution over processes."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

from tests.servers import migrated_sqlite, postgres

__all__ = ["migrated_sqlite", "postgres"]  # here, so that each process of tests has one, whatever folders it works on

# The same examples in every run, so that a failure is reproducible everywhere; no deadline, because machines stall.
hypothesis.settings.register_profile("autonl", deadline=None, derandomize=True)
hypothesis.settings.load_profile("autonl")

# Tests start many processes, and torch is slow with more threads than cores: one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")

for name in list(os.environ):
    if name.startswith("AUTONL_") or name in ("DATABASE_URL", "BROKER_URL", "ARTIFACT_URL", "COLUMNS"):
        del os.environ[name]

# Tests start hundreds of interpreters; without cached bytecode each of them would compile every module again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

TESTS = Path(__file__).parent
# Fixtures that take many seconds to set up: all tests that use one run in the same process.
SHARED_FIXTURES = ("made", "sandbox", "uninterrupted")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that break a whole service as `long`, and plan the run for several processes.

    With `--dist loadgroup --no-loadscope-reorder`, a file of short tests runs in one process, so that its fixtures are
    set up once; long tests are distributed one by one. What may take longest, by its timeout, starts first.
    """
    slowest_s: dict[str, float] = {}
    for item in items:
        if item.path.is_relative_to(TESTS / "reliability"):
            item.add_marker("long")
        group = _group(item)
        item.add_marker(pytest.mark.xdist_group(group))
        slowest_s[group] = max(slowest_s.get(group, 0), _timeout_s(item))
    items.sort(key=_group, reverse=True)  # of the others, the small files of the API come last: processes end together
    items.sort(key=lambda item: (-slowest_s[_group(item)], _group(item) not in SHARED_FIXTURES))


def _group(item: pytest.Item) -> str:
    """Tests with the same group run in the same process."""
    for name in getattr(item, "fixturenames", ()):
        if name in SHARED_FIXTURES:
            return str(name)
    if item.get_closest_marker("long"):
        return item.nodeid
    return item.path.relative_to(TESTS).as_posix()


def _timeout_s(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0
