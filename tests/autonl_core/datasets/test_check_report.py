"""The report of a dataset check as JSON and back."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from autonl_core.datasets.check_report import DatasetProblem, DatasetReport, SamePicture

COUNTS = st.integers(min_value=0, max_value=2**53)
WORDS = st.text(max_size=12)
PROBLEMS = st.builds(
    DatasetProblem,
    severity=st.sampled_from(["error", "warning", "info"]),
    code=WORDS,
    detail=WORDS,
    files=st.lists(WORDS, max_size=3),
    count=COUNTS,
)
PAIRS = st.builds(
    SamePicture,
    file=WORDS,
    shows=WORDS,
    kind=st.sampled_from(["exact", "near"]),
    distance=st.floats(0, 255),
)
REPORTS = st.builds(
    DatasetReport,
    problems=st.lists(PROBLEMS, max_size=4),
    files=COUNTS,
    images=COUNTS,
    classes=st.lists(st.fixed_dictionaries({"name": WORDS, "train": COUNTS, "test": COUNTS}), max_size=3),
    sizes=st.dictionaries(WORDS, st.dictionaries(WORDS, COUNTS, max_size=3), max_size=2),
    formats=st.dictionaries(WORDS, COUNTS, max_size=3),
    duplicates=st.dictionaries(WORDS, COUNTS, max_size=3),
    pairs=st.lists(PAIRS, max_size=3),
    sheets=COUNTS,
    seconds=st.floats(allow_nan=False, allow_infinity=False),
)


@given(REPORTS)
def test_a_report_survives_the_way_through_stored_json_with_its_worst_problems_first(report: DatasetReport) -> None:
    stored = report.to_json()
    read = DatasetReport.from_json(json.loads(json.dumps(stored)))
    assert read.to_json() == stored
    report.problems.sort(key=lambda problem: ["error", "warning", "info"].index(problem.severity))
    assert read == report


def test_a_report_of_an_earlier_version_is_read_with_defaults_for_what_it_lacks() -> None:
    report = DatasetReport.from_json({"problems": [], "images": 7, "dropped": 1})
    assert report == DatasetReport(images=7, check_version=1)
