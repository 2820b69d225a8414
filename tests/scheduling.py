"""Distribution of tests over processes (`-n`): groups that share fixtures stay together, the slowest start first."""

from __future__ import annotations

import pytest

# Fixtures that take many seconds to set up, once per process.
SLOW_FIXTURES = ("made", "uninterrupted")
# Files whose tests use one of them, or libraries that take as long to load.
TOGETHER = {
    "tests/autonl_core/bundle/test_build.py": "one bundle",
    "tests/autonl_core/bundle/test_card_claims.py": "one bundle",
    "tests/autonl_core/bundle/test_export_process.py": "one bundle",
    "tests/autonl_core/bundle/test_latency.py": "one bundle",
    "tests/autonl_core/bundle/test_onnx_macs.py": "one bundle",
    "tests/autonl_core/bundle/test_pixels.py": "one bundle",
    "tests/autonl_core/bundle/test_predict_file.py": "one bundle",
    "tests/autonl_core/bundle/test_verify_file.py": "one bundle",
    "tests/autonl_core/export/test_formats.py": "one bundle",
    "tests/autonl_core/export/test_graph.py": "one bundle",  # not this, but all that exporters load
    "tests/autonl_core/export/test_same_padding.py": "one bundle",
    "tests/autonl_core/phases/test_doubtful_labels.py": "one bundle",
    "tests/autonl_core/phases/test_reporting.py": "one bundle",
    "tests/autonl_core/run/test_stopping.py": "one bundle",
    "tests/autonl_core/test_search.py": "one bundle",
    "tests/autonl_core/spec/test_architecture_history.py": "one bundle",
    "tests/cli/test_predict.py": "one bundle",
}
# Files and folders of long tests, each of which sets up a service of its own: they are distributed one by one.
ONE_BY_ONE = ("tests/e2e/test_two_versions.py", "tests/fuzz/", "tests/reliability/")
# The longest of them start first.
FIRST = ("test_chaos", "test_kills_do_not_change_the_result")


def group_of(nodeid: str) -> str:
    """The group of a test: all tests of a group run in the same process, one after the other."""
    path = nodeid.partition("::")[0]
    if path in TOGETHER:
        return TOGETHER[path]
    return nodeid if path.startswith(ONE_BY_ONE) else path


def sort_for_processes(items: list[pytest.Item]) -> None:
    """Order tests by group: FIRST, then those with the longest timeout, shared fixtures, and folders from Z to A.

    The last ones are then the many quick files of the API and the core, so all processes finish at about the same time.
    """
    slowest_s: dict[str, float] = {}
    for item in items:
        group = group_of(item.nodeid)
        slowest_s[group] = max(slowest_s.get(group, 0), _timeout_s(item))
    shared = set(TOGETHER.values())

    def rank(item: pytest.Item) -> tuple[int, float, bool]:
        group = group_of(item.nodeid)
        place = next((place for place, part in enumerate(FIRST) if part in group), len(FIRST))
        return place, -slowest_s[group], group not in shared

    items.sort(key=lambda item: group_of(item.nodeid), reverse=True)
    items.sort(key=rank)


def _timeout_s(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0
