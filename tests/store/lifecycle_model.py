"""A model of the lifecycle of searches in plain Python, whose predictions the stores are compared with.

It is written from the reliability contract and never calls the code of the stores. Time is a number of seconds,
`World.clock_s`. A wait that is exactly over counts as over, because the real clock is always slightly ahead.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from store.states import ExitClass, SearchState

LEASE_S = 60
BACKOFF_S = 30
RING_S = 30
RING_MAX_S = 120
KEY_KEPT_S = 24 * 3600
MAX_STREAK = 3
MAX_ATTEMPTS = 4
MAX_INTERRUPTIONS = 3

GIVE_UPS = frozenset({"out-of-memory", "disk-full", "stalled", "poison", "attempts-exhausted", "interrupted"})
CLAIMED = {SearchState.RUNNING, SearchState.PAUSING, SearchState.CANCELLING}
FINAL = {SearchState.SUCCEEDED, SearchState.FAILED, SearchState.CANCELLED}
NEXT_STATES: dict[SearchState, set[SearchState]] = {
    SearchState.QUEUED: {SearchState.RUNNING, SearchState.PAUSED, SearchState.CANCELLED},
    SearchState.RUNNING: {
        SearchState.QUEUED,
        SearchState.PAUSING,
        SearchState.CANCELLING,
        SearchState.CANCELLED,  # its compute is spent
        SearchState.SUCCEEDED,
        SearchState.FAILED,
    },
    SearchState.PAUSING: {
        SearchState.RUNNING,
        SearchState.PAUSED,
        SearchState.CANCELLING,
        SearchState.CANCELLED,  # its compute is spent
        SearchState.SUCCEEDED,
        SearchState.FAILED,
    },
    SearchState.PAUSED: {SearchState.QUEUED, SearchState.CANCELLED},
    SearchState.CANCELLING: {SearchState.CANCELLED},
    SearchState.CANCELLED: {SearchState.QUEUED},
    SearchState.FAILED: {SearchState.QUEUED},
    SearchState.SUCCEEDED: set(),
}


@dataclass
class Expected:
    """The predicted state of one search."""

    id: str
    key: str | None
    body: str | None
    created_s: float
    next_run_s: float
    state: SearchState = SearchState.QUEUED
    fence: int = 0
    attempts: int = 0  # those that count towards the limit
    crashes: list[ExitClass] = field(default_factory=list)  # since the last new run state
    interrupted: list[int] = field(default_factory=list)  # attempts that lost their lease since the fence `unbroken`
    unbroken: int = 0  # fence of the last run state, or of a resume that came later
    lease_until_s: float = 0
    notified_s: float | None = None
    notifications: int = 0
    saved: list[tuple[int, int]] = field(default_factory=list)  # (step, fence) of each accepted run state
    points: int = 0
    phase: str | None = None
    best_arch_id: str | None = None
    error_type: str | None = None
    exits: list[ExitClass | None] = field(default_factory=list)  # of attempts 1, 2, 3, ...; None: still open
    events: list[tuple[int, str]] = field(default_factory=list)  # (fence, kind)
    reached: set[str] = field(default_factory=set)  # shared by all searches, see `World.reached`

    @property
    def claimed(self) -> bool:
        return self.state in CLAIMED

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def kept_run_states(self) -> list[tuple[int, int]]:
        """The two most advanced; none after a success, when there is nothing left to resume."""
        return [] if self.state == SearchState.SUCCEEDED else sorted(self.saved)[-2:]

    def log(self, kind: str) -> None:
        self.events.append((self.fence, kind))

    def move(self, state: SearchState, kind: str) -> None:
        self.state = state
        self.reached.add(state)
        self.log(kind)

    # Workers ----------------------------------------------------------------------------------------------------------

    def be_claimed(self, clock_s: float) -> None:
        self.fence += 1
        self.attempts += 1
        self.exits.append(None)
        self.lease_until_s = clock_s + LEASE_S
        self.move(SearchState.RUNNING, "claimed")

    def save(self) -> None:
        self.saved.append((len(self.saved) + 1, self.fence))
        self.crashes.clear()
        self.unbroken = self.fence
        self.log("run_state_saved")

    def report_phase(self, phase: str) -> None:
        self.points += 1
        if self.phase != phase:
            self.phase = phase
            self.log("phase")

    def finish(self, arch_id: str) -> None:
        self.best_arch_id = arch_id
        self._end(SearchState.SUCCEEDED, ExitClass.SUCCEEDED, "succeeded")

    def fail(self, error_type: str) -> None:
        if self._end(SearchState.FAILED, ExitClass.REFUSED, "failed") == SearchState.FAILED:
            self.error_type = error_type

    def give_back(self, clock_s: float) -> None:
        if self.state == SearchState.PAUSING:
            self._end(SearchState.PAUSED, ExitClass.PAUSED, "paused")
        elif self._end(SearchState.QUEUED, ExitClass.DRAINED, "requeued") == SearchState.QUEUED:
            self.attempts -= 1  # a drain does not count towards the limit
            self._wait_until(clock_s)

    def crash(self, exit_class: ExitClass, clock_s: float) -> None:
        self.crashes.append(exit_class)
        if self.state == SearchState.PAUSING:
            self._end(SearchState.PAUSED, exit_class, "paused")
            return
        reason = self._reason_to_give_up()
        if reason is not None:
            if self._end(SearchState.FAILED, exit_class, "failed") == SearchState.FAILED:
                self.error_type = reason
                self.reached.add(reason)
        elif self._end(SearchState.QUEUED, exit_class, "requeued") == SearchState.QUEUED:
            self._wait_until(clock_s + BACKOFF_S * 2 ** (len(self.crashes) - 1))

    def interrupt(self, clock_s: float) -> None:
        """Its supervisor did not beat: no crash, and the attempt does not count towards the limit."""
        if self.state == SearchState.PAUSING:
            self._lose(SearchState.PAUSED, "paused")
            return
        lost = sum(fence > self.unbroken for fence in [*self.interrupted, self.fence])
        if lost >= MAX_INTERRUPTIONS and self.state == SearchState.RUNNING:
            self._lose(SearchState.FAILED, "failed")
            self.error_type = "interrupted"
            self.reached.add("interrupted")
        elif self._lose(SearchState.QUEUED, "requeued") == SearchState.QUEUED:
            self.attempts -= 1
            self._wait_until(clock_s)

    def regain(self, clock_s: float) -> bool:
        """Its supervisor takes it back, if it is queued because that was late."""
        if self.state != SearchState.QUEUED or not self.exits or self.exits[-1] != ExitClass.LEASE_LOST:
            return False
        self.interrupted.remove(self.fence)
        self.attempts += 1
        self.exits[-1] = None
        self.lease_until_s = clock_s + LEASE_S
        self.move(SearchState.RUNNING, "lease_regained")
        return True

    def _lose(self, state: SearchState, kind: str) -> SearchState:
        if self.state != SearchState.CANCELLING:
            self.interrupted.append(self.fence)
        return self._end(state, ExitClass.LEASE_LOST, kind)

    def _end(self, state: SearchState, exit_class: ExitClass, kind: str) -> SearchState:
        """End the open attempt and move the search to `state`, unless a cancel was requested first, which wins."""
        if self.state == SearchState.CANCELLING:
            state, kind = SearchState.CANCELLED, "cancelled"
            exit_class = ExitClass.CANCELLED
        self.exits[-1] = exit_class
        self.move(state, kind)
        return state

    def _reason_to_give_up(self) -> str | None:
        if self.crashes.count(ExitClass.OUT_OF_MEMORY) == 2:
            return "out-of-memory"
        if len(self.crashes) == MAX_STREAK:
            if self.crashes == [ExitClass.DISK_FULL] * MAX_STREAK:
                return "disk-full"
            return "stalled" if self.crashes == [ExitClass.STALLED] * MAX_STREAK else "poison"
        return "attempts-exhausted" if self.attempts == MAX_ATTEMPTS else None

    def _wait_until(self, next_run_s: float) -> None:
        self.next_run_s, self.notified_s, self.notifications = next_run_s, None, 0

    # Requests of users: True if allowed -------------------------------------------------------------------------------

    def cancel(self) -> bool:
        if self.state in (SearchState.QUEUED, SearchState.PAUSED):
            self.move(SearchState.CANCELLED, "cancelled")
        elif self.state in (SearchState.RUNNING, SearchState.PAUSING):
            self.move(SearchState.CANCELLING, "cancel_requested")
        return self.state in (SearchState.CANCELLING, SearchState.CANCELLED)

    def pause(self) -> bool:
        if self.state == SearchState.QUEUED:
            self.move(SearchState.PAUSED, "paused")
        elif self.state == SearchState.RUNNING:
            self.move(SearchState.PAUSING, "pause_requested")
        return self.state in (SearchState.PAUSING, SearchState.PAUSED)

    def resume(self, clock_s: float) -> bool:
        if self.state in (SearchState.PAUSED, SearchState.FAILED, SearchState.CANCELLED, SearchState.PAUSING):
            self.unbroken = self.fence
        if self.state in (SearchState.PAUSED, SearchState.FAILED, SearchState.CANCELLED):
            self.attempts, self.error_type = 0, None
            self.crashes.clear()
            self._wait_until(clock_s)
            self.move(SearchState.QUEUED, "resume_requested")
        elif self.state == SearchState.PAUSING:
            self.move(SearchState.RUNNING, "resume_requested")
        return self.state in (SearchState.QUEUED, SearchState.RUNNING)

    # The sweeper ------------------------------------------------------------------------------------------------------

    def notify(self, clock_s: float) -> bool:
        """Whether workers are notified now: at once, then after waits that double."""
        if not self.is_due(clock_s):
            return False
        if self.notified_s is not None:
            wait_s = min(RING_S * 2 ** (self.notifications - 1), RING_MAX_S)
            if clock_s < self.notified_s + wait_s:
                return False
        self.notified_s, self.notifications = clock_s, self.notifications + 1
        return True

    def is_due(self, clock_s: float) -> bool:
        return self.state == SearchState.QUEUED and self.next_run_s <= clock_s

    def is_stale(self, clock_s: float) -> bool:
        return self.claimed and self.lease_until_s <= clock_s


class World:
    """All searches that were not deleted, oldest first, and the clock."""

    def __init__(self) -> None:
        self.clock_s = 0.0
        self.searches: list[Expected] = []
        self.reached: set[str] = set()  # states that any search was in, and reasons for giving up

    def submit(self, search_id: str, key: str | None, body: str) -> None:
        for search in self.searches:
            if key is not None and search.key == key:
                search.key = None  # it has expired, or the search would have been found
        added = Expected(search_id, key, body, created_s=self.clock_s, next_run_s=self.clock_s, reached=self.reached)
        added.log("created")
        self.searches.append(added)

    def known(self, key: str | None) -> Expected | None:
        """The search that `key` created, unless the key has expired."""
        for search in self.searches:
            if key is not None and search.key == key and self.clock_s < search.created_s + KEY_KEPT_S:
                return search
        return None

    def find(self, search_id: str) -> Expected | None:
        return next((search for search in self.searches if search.id == search_id), None)

    def first_due(self) -> Expected | None:
        return next((search for search in self.searches if search.is_due(self.clock_s)), None)
