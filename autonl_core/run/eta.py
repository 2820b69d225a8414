"""How long the rest of a search takes: a range, from the speed of every phase and how much it varied."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from autonl_core.host.cpus import cpu_crowding
from autonl_core.spec.progress import PHASES, Phase

NOT_MEASURED = "its speed is not measured yet"
NOT_PREPARED = "its images are being prepared"

_WINDOW_S = 2.0  # over which a speed is measured
_MIN_WINDOWS = 3  # for an estimate
_LEAST_SPREAD = 0.1  # of a measured speed: other programs come and go
_MOST_SPREAD = 0.6
_ELSEWHERE = 0.6, 2.0  # speed of a phase relative to the others before it is measured; recorded ones: .8 to 1.8
_ENDING_S = 4.0, 30.0  # for what is not counted as work, evaluating and exporting, where no one else wants the CPUs
_LEAST_HIGH_S = 5.0  # of the end of the range, however long the ending takes
_NAP_S, _NAP_SHARE = 10.0, 0.05  # a longer gap in which the CPU was used so little was a nap


@dataclass(frozen=True)
class TimeLeft:
    """Seconds to the end, at least and at most."""

    low_s: float
    high_s: float


@dataclass
class _Speed:
    """Of one phase: finished windows as image-MACs per second, and the one under way."""

    seconds: float = 0.0
    work: float = 0.0
    windows: list[float] = field(default_factory=list)
    window_s: float = 0.0
    window_work: float = 0.0

    def add(self, seconds: float, work: float) -> None:
        self.seconds += seconds
        self.work += work
        self.window_s += seconds
        self.window_work += work
        if self.window_s >= _WINDOW_S:
            self.windows.append(self.window_work / self.window_s)
            self.window_s = self.window_work = 0.0

    @property
    def known(self) -> bool:
        return len(self.windows) >= _MIN_WINDOWS and self.work > 0

    def range(self) -> tuple[float, float]:
        """The slowest and the fastest that is likely from now on."""
        mean = self.work / self.seconds
        spread = min(_MOST_SPREAD, _LEAST_SPREAD + statistics.stdev(self.windows) / mean)
        return mean * (1 - spread), mean * (1 + spread)


class Eta:
    """Learns how fast a search is from its reports, and says how long the rest takes."""

    def __init__(self, crowding: Callable[[], float] = cpu_crowding) -> None:
        self._crowding = crowding
        self._speeds: dict[Phase, _Speed] = {}
        self._before: tuple[float, float, Phase, float] | None = None
        self._ending_s = 0.0  # spent in phases without counted work

    def observe(self, moment: float, cpu_s: float, phase: Phase, done: float) -> None:
        """Take a report.

        Args:
            moment: in seconds, of any clock.
            cpu_s: CPU time of this process by now: it shows when a machine slept.
            done: work by now, in image-MACs, over all attempts.
        """
        before, self._before = self._before, (moment, cpu_s, phase, done)
        if before is None or before[2] != phase:
            return
        passed_s, used_s, work = moment - before[0], cpu_s - before[1], done - before[3]
        if passed_s > _NAP_S and used_s < _NAP_SHARE * passed_s:
            return
        if phase in ("evaluating", "exporting"):
            self._ending_s += passed_s
        else:
            self._speeds.setdefault(phase, _Speed()).add(passed_s, work)

    def left(self, phase: Phase, work: Mapping[Phase, float], done: float) -> TimeLeft | None:
        """The time to the end; None: not known yet.

        Args:
            work: all work by phase, in image-MACs.
            done: of that, over all attempts.
        """
        later = {name: work.get(name, 0.0) for name in PHASES[PHASES.index(phase) + 1 :]}
        ahead = {phase: max(0.0, sum(work.values()) - done - sum(later.values()))} | later
        shortest_s, longest_s = (seconds * self._crowding() for seconds in _ENDING_S)
        low_s = max(1.0, shortest_s - self._ending_s)
        high_s = max(_LEAST_HIGH_S, longest_s - self._ending_s)
        for name, amount in ahead.items():
            if amount > 0:
                speeds = self._speeds_of(name)
                if speeds is None:
                    return None
                low_s += amount / speeds[1]
                high_s += amount / speeds[0]
        return TimeLeft(low_s, high_s)

    def _speeds_of(self, phase: Phase) -> tuple[float, float] | None:
        """The slowest and the fastest that a phase may be, in image-MACs per second."""
        own = self._speeds.get(phase)
        if own is not None and own.known:
            return own.range()
        known = [speed for speed in self._speeds.values() if speed.known]
        if not known:
            return None
        mean = sum(speed.work for speed in known) / sum(speed.seconds for speed in known)
        return mean * _ELSEWHERE[0], mean * _ELSEWHERE[1]
