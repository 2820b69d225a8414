"""How long the rest takes, on the reports of two searches that were recorded on a busy machine with two cores.

A report is (seconds since the start, phase, image-MACs done). `digits` trains a small network from nothing, `photos`
goes through every phase. Evaluating and exporting took 66 and 76 s of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from autonl_core.run.eta import Eta, TimeLeft
from autonl_core.spec.progress import Phase

CROWDING = 4.0  # programs that wanted each CPU while these were recorded
RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))


@dataclass(frozen=True)
class Recording:
    """A search from its first report to its end."""

    end_s: float
    work: dict[Phase, float]
    reports: list[tuple[float, Phase, float]]

    def estimates(self, nap_s: float = 0, nap_at: int = -1) -> Iterator[tuple[float, Phase, TimeLeft | None]]:
        """Seconds that were left, phase and estimate at every report; before the one at `nap_at`, the machine slept."""
        eta, slept_s = Eta(crowding=lambda: CROWDING), 0.0
        for number, (at_s, phase, done) in enumerate(self.reports):
            slept_s += nap_s if number == nap_at else 0
            eta.observe(at_s + slept_s, at_s, phase, done)
            yield self.end_s - at_s, phase, eta.left(phase, self.work, done)


@pytest.fixture(params=RECORDED, ids=lambda path: path.stem)
def recording(request: pytest.FixtureRequest) -> Recording:
    stored = json.loads(request.param.read_text())
    reports = [(at_s, phase, done) for at_s, phase, done in stored["reports"]]
    assert {phase for _, phase, _ in reports} <= set(get_args(Phase))
    return Recording(stored["end_s"], stored["work"], reports)


def known(recording: Recording) -> list[tuple[float, Phase, TimeLeft]]:
    return [(left_s, phase, left) for left_s, phase, left in recording.estimates() if left is not None]


def test_both_were_recorded() -> None:
    assert [path.stem for path in RECORDED] == ["digits", "photos"]


def test_the_end_lies_in_the_range(recording: Recording) -> None:
    inside = [left.low_s <= left_s <= left.high_s for left_s, _, left in known(recording)]
    assert sum(inside) / len(inside) >= 0.95


def test_it_is_not_known_before_a_speed_was_measured(recording: Recording) -> None:
    estimates = list(recording.estimates())
    assert estimates[0][2] is None
    first = next(number for number, (_, _, left) in enumerate(estimates) if left is not None)
    assert recording.reports[first][0] - recording.reports[0][0] >= 6  # three windows of two seconds
    assert all(left is not None for _, _, left in estimates[first:])


def test_the_range_is_narrower_once_the_longest_phase_is_measured(recording: Recording) -> None:
    ranges = known(recording)
    late = [left for left_s, phase, left in ranges if phase == "training" and left_s > 100]
    assert late[-1].high_s - late[-1].low_s < (ranges[0][2].high_s - ranges[0][2].low_s) / 2


def test_while_it_exports_the_range_shrinks(recording: Recording) -> None:
    last = [left for _, phase, left in known(recording) if phase == "exporting"]
    assert all(left.low_s >= 1 for left in last)
    assert last[-1].high_s < last[0].high_s <= 120


@pytest.mark.parametrize("nap_at", [15, 40])
def test_a_nap_of_the_machine_changes_no_speed(nap_at: int, recording: Recording) -> None:
    awake, slept = (list(estimates) for estimates in (recording.estimates(), recording.estimates(3600, nap_at)))
    for (_, _, one), (_, _, other) in zip(awake[nap_at + 5 :], slept[nap_at + 5 :], strict=True):
        assert one is not None
        assert other is not None
        assert (other.low_s, other.high_s) == pytest.approx((one.low_s, one.high_s), rel=0.25)


def test_steady_work_has_a_range_of_a_tenth_around_it_and_what_comes_last() -> None:
    """100 MACs a second, 3000 of them left: 30 s and a tenth more or less, and 4 to 30 s for the rest."""
    eta = Eta(crowding=lambda: 1.0)
    for second in range(11):
        eta.observe(second, second, "training", 100.0 * second)
    left = eta.left("training", {"training": 4000.0}, 1000.0)
    assert left is not None
    assert (left.low_s, left.high_s) == pytest.approx((4 + 30 / 1.1, 30 + 30 / 0.9))


def test_on_a_machine_that_others_use_what_comes_last_takes_longer() -> None:
    """Three programs for each CPU: three times 4 to 30 s."""
    eta = Eta(crowding=lambda: 3.0)
    for second in range(11):
        eta.observe(second, second, "training", 100.0 * second)
    left = eta.left("training", {"training": 1000.0}, 1000.0)
    assert left == TimeLeft(12.0, 90.0)


def test_a_phase_that_is_not_measured_may_be_slower_or_faster() -> None:
    eta = Eta(crowding=lambda: 1.0)
    for second in range(11):
        eta.observe(second, second, "searching", 100.0 * second)
    left = eta.left("searching", {"searching": 1000.0, "training": 6000.0}, 1000.0)
    assert left is not None
    assert (left.low_s, left.high_s) == pytest.approx((4 + 60 / 2.0, 30 + 60 / 0.6))
