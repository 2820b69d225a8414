"""What is slow to set up is set up once, however many processes run the tests."""

from __future__ import annotations

import re
from pathlib import Path

from tests.scheduling import ONE_BY_ONE, SLOW_FIXTURES, TOGETHER, group_of

TESTS = Path(__file__).parent
USES_A_SLOW_FIXTURE = re.compile(rf"^ *def test_\w+\([^)]*\b({'|'.join(SLOW_FIXTURES)}):", re.MULTILINE)


def test_all_files_that_use_a_slow_fixture_are_run_by_one_process() -> None:
    using = {
        str(file.relative_to(TESTS.parent))
        for file in TESTS.rglob("test_*.py")
        if USES_A_SLOW_FIXTURE.search(file.read_text())
    }
    using = {path for path in using if not path.startswith(ONE_BY_ONE)}
    assert len(using) > 8
    assert using - TOGETHER.keys() == set()
    assert len({group_of(path) for path in using}) == 1


def test_files_that_are_named_exist() -> None:
    assert [path for path in TOGETHER if not (TESTS.parent / path).is_file()] == []
