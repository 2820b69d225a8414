"""Shared by all tests: repeatable examples, a clean environment, one set of servers, distribution over processes."""

from __future__ import annotations

import gc
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.scheduling import group_of, sort_for_processes
from tests.servers import migrated_sqlite, postgres

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

    from tests.autonl_core.bundle.small_bundle import Made

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

# httpx reads every authority of the world for each client, which takes longer than most requests; tests stay among
# themselves, and one authority is enough for that.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("authority.pem"))

# What a shell starts in the background ignores Ctrl-C, and so would all that tests start there and send it to.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Folders whose tests all have this marker.
MARKED = (("reliability", "long"), ("browser", "browser"), ("fuzz", "long"))
BROWSER_TIMEOUT_S = 300  # a browser takes all cores, and the first test waits for everything to start

# Libraries keep a million objects alive. In Python's own rhythm, a sixth of all time goes into looking through them.
gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One bundle of all formats, for whatever reads one: it takes many seconds to make."""
    from tests.autonl_core.bundle.small_bundle import make_all  # loads torch, which most tests do without

    return make_all(tmp_path_factory.mktemp("made"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether a folder need not be loaded, because the expression of `-m` leaves all its tests out."""
    excluded = re.findall(r"not (\w+)", config.option.markexpr)
    folders = [Path(__file__).parent / folder for folder, marker in MARKED if marker in excluded]
    return True if collection_path in folders else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that break a whole service as `long`, and those that need a browser as `browser`.

    `make test` runs neither, `make reliability` the former, `make test-browser` the latter.
    """
    here = Path(__file__).parent
    for item in items:
        for folder, marker in MARKED:
            if item.path.is_relative_to(here / folder):
                item.add_marker(marker)
        if "browser" in item.keywords:
            item.add_marker(pytest.mark.timeout(BROWSER_TIMEOUT_S))
    sort_for_processes(items)


@pytest.hookimpl(optionalhook=True)  # there is none without xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """With `-n`, distribute tests by the groups of `tests/scheduling.py`, in their order."""
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return GroupScheduling(config, log)
