"""What every test shares: repeatable examples, and an environment without the settings of whoever runs the tests."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# The same examples in every run, so that a red test is red for everyone; no deadline, because machines stall.
hypothesis.settings.register_profile("autonl", deadline=None, derandomize=True)
hypothesis.settings.load_profile("autonl")

# Tests start many processes, and torch is slow where more threads compute than there are cores: one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")

for name in list(os.environ):
    if name.startswith("AUTONL_") or name in ("DATABASE_URL", "BROKER_URL", "ARTIFACT_URL", "COLUMNS"):
        del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that break a whole service take their time: `make reliability` runs them, `make test` the others."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent / "reliability"):
            item.add_marker("long")
