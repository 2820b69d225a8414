"""What should become of searches, in plain Python: the prediction that the stores are compared with.

Written from the reliability contract, not from the stores, whose code it never calls. Time is a number of seconds that
only `World.clock_s` tells; a wait that is exactly over counts as over, because the real clock always ran a little more.
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

GIVE_UPS = frozenset({"out-of-memory", "disk-full", "stalled", "poison", "attempts-exhausted"})
CLAIMED = {SearchState.RUNNING, SearchState.PAUSING, SearchState.CANCELLING}
FINAL = {SearchState.SUCCEEDED, SearchState.FAILED, SearchState.CANCELLED}
NEXT_STATES: dict[SearchState, set[SearchState]] = {
    SearchState.QUEUED: {SearchState.RUNNING, SearchState.PAUSED, SearchState.CANCELLED},
    SearchState.RUNNING: {
        SearchState.QUEUED,
        SearchState.PAUSING,
        SearchState.CANCELLING,
        SearchState.SUCCEEDED,
        SearchState.FAILED,
    },
    SearchState.PAUSING: {
        SearchState.RUNNING,
        SearchState.PAUSED,
        SearchState.CANCELLING,
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
    """One search, as it should be."""

    id: str
    key: str | None
    body: str | None
    created_s: float
    next_run_s: float
    state: SearchState = SearchState.QUEUED
    fence: int = 0
    attempts: int = 0  # that count against the limit
    broken: list[ExitClass] = field(default_factory=list)  # how attempts broke since the last new run state
    lease_until_s: float = 0
    rung_s: float | None = None
    rings: int = 0
    saved: list[tuple[int, int]] = field(default_factory=list)  # (step, fence) of every accepted run state
    points: int = 0
    phase: str | None = None
    best_arch_id: str | None = None
    error_type: str | None = None
    exits: list[ExitClass | None] = field(default_factory=list)  # of attempts 1, 2, 3, ...; None: still open
    told: list[tuple[int, str]] = field(default_factory=list)  # (fence, kind) of every event
    reached: set[str] = field(default_factory=set)  # the world's

    @property
    def claimed(self) -> bool:
        return self.state in CLAIMED

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def kept_run_states(self) -> list[tuple[int, int]]:
        """The two that got furthest; none once nothing is left to go on with."""
        return [] if self.state == SearchState.SUCCEEDED else sorted(self.saved)[-2:]

    def tell(self, kind: str) -> None:
        self.told.append((self.fence, kind))

    def move(self, state: SearchState, kind: str) -> None:
        self.state = state
        self.reached.add(state)
        self.tell(kind)

    # What a worker does -----------------------------------------------------------------------------------------------

    def be_claimed(self, clock_s: float) -> None:
        self.fence += 1
        self.attempts += 1
        self.exits.append(None)
        self.lease_until_s = clock_s + LEASE_S
        self.move(SearchState.RUNNING, "claimed")

    def save(self) -> None:
        self.saved.append((len(self.saved) + 1, self.fence))
        self.broken.clear()
        self.tell("run_state_saved")

    def tell_phase(self, phase: str) -> None:
        self.points += 1
        if self.phase != phase:
            self.phase = phase
            self.tell("phase")

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
            self.attempts -= 1  # a drain is no fault of the search
            self._wait_until(clock_s)

    def crash(self, way: ExitClass, clock_s: float) -> None:
        self.broken.append(way)
        if self.state == SearchState.PAUSING:
            self._end(SearchState.PAUSED, way, "paused")
            return
        reason = self._reason_to_give_up()
        if reason is not None:
            if self._end(SearchState.FAILED, way, "failed") == SearchState.FAILED:
                self.error_type = reason
                self.reached.add(reason)
        elif self._end(SearchState.QUEUED, way, "requeued") == SearchState.QUEUED:
            self._wait_until(clock_s + BACKOFF_S * 2 ** (len(self.broken) - 1))

    def _end(self, state: SearchState, exit_class: ExitClass, kind: str) -> SearchState:
        """The open attempt ends, and with it the search goes to `state`, unless a cancel came first: that wins."""
        if self.state == SearchState.CANCELLING:
            state, kind = SearchState.CANCELLED, "cancelled"
            exit_class = ExitClass.CANCELLED
        self.exits[-1] = exit_class
        self.move(state, kind)
        return state

    def _reason_to_give_up(self) -> str | None:
        if self.broken.count(ExitClass.OUT_OF_MEMORY) == 2:
            return "out-of-memory"
        if len(self.broken) == MAX_STREAK:
            if self.broken == [ExitClass.DISK_FULL] * MAX_STREAK:
                return "disk-full"
            return "stalled" if self.broken == [ExitClass.STALLED] * MAX_STREAK else "poison"
        return "attempts-exhausted" if self.attempts == MAX_ATTEMPTS else None

    def _wait_until(self, next_run_s: float) -> None:
        self.next_run_s, self.rung_s, self.rings = next_run_s, None, 0

    # What a user asks for: True if that is allowed --------------------------------------------------------------------

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
        if self.state in (SearchState.PAUSED, SearchState.FAILED, SearchState.CANCELLED):
            self.attempts, self.error_type = 0, None
            self.broken.clear()
            self._wait_until(clock_s)
            self.move(SearchState.QUEUED, "resume_requested")
        elif self.state == SearchState.PAUSING:
            self.move(SearchState.RUNNING, "resume_requested")
        return self.state in (SearchState.QUEUED, SearchState.RUNNING)

    # What the sweeper does --------------------------------------------------------------------------------------------

    def ring(self, clock_s: float) -> bool:
        """Whether it is rung for now: at first, then after waits that double."""
        if not self.is_due(clock_s):
            return False
        if self.rung_s is not None and clock_s < self.rung_s + min(RING_S * 2 ** (self.rings - 1), RING_MAX_S):
            return False
        self.rung_s, self.rings = clock_s, self.rings + 1
        return True

    def is_due(self, clock_s: float) -> bool:
        return self.state == SearchState.QUEUED and self.next_run_s <= clock_s

    def is_stale(self, clock_s: float) -> bool:
        return self.claimed and self.lease_until_s <= clock_s


class World:
    """All searches that were not deleted, oldest first, and the time."""

    def __init__(self) -> None:
        self.clock_s = 0.0
        self.searches: list[Expected] = []
        self.reached: set[str] = set()  # every state that a search was in, and every reason to give one up

    def submit(self, search_id: str, key: str | None, body: str) -> None:
        for search in self.searches:
            if key is not None and search.key == key:
                search.key = None  # older than keys are kept, or it would have been found
        added = Expected(search_id, key, body, created_s=self.clock_s, next_run_s=self.clock_s, reached=self.reached)
        added.tell("created")
        self.searches.append(added)

    def known(self, key: str | None) -> Expected | None:
        """The search that `key` still stands for."""
        for search in self.searches:
            if key is not None and search.key == key and self.clock_s < search.created_s + KEY_KEPT_S:
                return search
        return None

    def find(self, search_id: str) -> Expected | None:
        return next((search for search in self.searches if search.id == search_id), None)

    def first_due(self) -> Expected | None:
        return next((search for search in self.searches if search.is_due(self.clock_s)), None)
