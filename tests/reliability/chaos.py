"""One seeded run of everything that can go wrong: many searches, many faults, and users who change their minds.

The seed decides which faults come, in which order, at whom, after which waits. What the machine makes of it differs
from run to run; the history that is left must be sound whatever it made of it.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import psutil

from store.errors import StateConflict
from store.states import SearchState
from tests.reliability.broker import ForgetfulBroker
from tests.reliability.service import Service, drop_sessions, end, is_gone
from tests.servers import wait_for

WORKERS = ("worker-1", "worker-2", "worker-3")
SWEEPERS = ("sweeper-1", "sweeper-2")
SEARCHES = 110
FAULTS = 45
PACE_S = (0.3, 1.5)  # between two faults
SLEEP_S = (1.0, 8.0)  # of a stopped process: some wake within their lease, some long after it


class Chaos:
    """Breaks `service` by the plan of `seed`, while searches are submitted to it over HTTP."""

    def __init__(self, service: Service, broker: ForgetfulBroker, seed: int) -> None:
        self.service, self.broker = service, broker
        self.rng = random.Random(seed)
        self.accepted: list[str] = []
        self.faults: Counter[str] = Counter()
        self._asleep: list[tuple[float, psutil.Process]] = []
        self._kinds: dict[str, Callable[[], bool]] = {
            "kill -9 runner": lambda: self._harm_runner(signal.SIGKILL),
            "kill -9 slot": lambda: self._harm_slot(signal.SIGKILL),
            "kill -9 worker": self._kill_worker,
            "stop runner": lambda: self._harm_runner(signal.SIGSTOP),
            "stop slot and runner": self._stop_both,
            "drain worker": self._drain_worker,
            "kill -9 sweeper": self._kill_sweeper,
            "kill -9 broker": self._kill_broker,
            "flush broker": self._flush_broker,
            "triple rings": self._triple_rings,
            "drop database sessions": self._drop_sessions,
            "kill -9 API": self._kill_api,
        }

    def run(self) -> None:
        """Submit and break until both are done, then heal everything and wait for every search to end."""
        self._start()
        plan = [kind for kind in self._kinds for _ in range(FAULTS // len(self._kinds) + 1)]
        self.rng.shuffle(plan)
        while plan or len(self.accepted) < SEARCHES:
            for _ in range(self.rng.randint(4, 8)):  # faster than they can run: there is always somebody to harm
                if len(self.accepted) < SEARCHES:
                    self._submit()
            self._change_a_mind()
            self._wake(time.monotonic())
            if plan:
                kind = plan.pop()
                if self._kinds[kind]():
                    self.faults[kind] += 1
                else:
                    plan.insert(0, kind)  # there was nobody to harm just then
            time.sleep(self.rng.uniform(*PACE_S))
        self._wake(float("inf"))
        self._resume_all()

    def wait_until_all_ended(self, timeout_s: float) -> None:
        stores = self.service.stores

        def ended() -> bool:
            return all(stores.searches.get(search_id).state.final for search_id in self.accepted)

        wait_for(ended, "every search ends", timeout_s)

    def _start(self) -> None:
        self.service.start_api()
        for name in SWEEPERS:
            self.service.start_sweeper(name)
        for name in WORKERS:
            self.service.start_worker(name)

    # Users

    def _submit(self) -> None:
        """Ask until the service says that it accepted; the key makes sure that this is once."""
        key = f"search-{len(self.accepted)}"
        self.accepted.append(self.service.insist("POST", "/searches", key=key)["id"])

    def _change_a_mind(self) -> None:
        request = self.rng.choice(["cancel", "pause", "resume", "resume", None, None, None, None])
        if request is None:
            return
        search_id = self.rng.choice(self.accepted)
        try:
            getattr(self.service.stores.control, request)(search_id)
        except StateConflict:
            return  # too late, or too early

    def _resume_all(self) -> None:
        """Nobody leaves a search paused for ever."""
        for search_id in self.accepted:
            if self.service.state(search_id) in (SearchState.PAUSED, SearchState.PAUSING):
                self.service.stores.control.resume(search_id)

    # Faults. Each tells whether there was anything to harm.

    def _busy(self) -> str | None:
        """A worker that runs a search, awake; None if there is none just now."""
        asleep = {process.pid for _, process in self._asleep}
        busy = [
            name
            for name in WORKERS
            if self.service.runners(name) and not asleep & {p.pid for p in self.service.family(name)}
        ]
        return self.rng.choice(busy) if busy else None

    def _harm_runner(self, number: int) -> bool:
        name = self._busy()
        return name is not None and self._harm(self.service.runners(name), number)

    def _harm_slot(self, number: int) -> bool:
        name = self._busy()
        return name is not None and self._harm(self.service.supervisors(name), number)

    def _stop_both(self) -> bool:
        name = self._busy()
        return name is not None and self._harm(self.service.family(name), signal.SIGSTOP)

    def _harm(self, victims: list[psutil.Process], number: int) -> bool:
        wake_at = time.monotonic() + self.rng.uniform(*SLEEP_S)
        for victim in victims:
            end(victim, number)
            if number == signal.SIGSTOP:
                self._asleep.append((wake_at, victim))
        return bool(victims)

    def _wake(self, moment: float) -> None:
        for wake_at, process in list(self._asleep):
            if wake_at <= moment:
                self._asleep.remove((wake_at, process))
                if not is_gone(process):
                    end(process, signal.SIGCONT)

    def _kill_worker(self) -> bool:
        name = self._busy()
        if name is None:
            return False
        self.service.kill(name)
        self.service.start_worker(name, wait=False)
        return True

    def _drain_worker(self) -> bool:
        name = self._busy()
        if name is None:
            return False
        self.service.stop(name)
        self.service.start_worker(name, wait=False)
        return True

    def _kill_sweeper(self) -> bool:
        name = self.rng.choice(SWEEPERS)
        self.service.kill(name)
        self.service.start_sweeper(name)
        return True

    def _kill_api(self) -> bool:
        self.service.kill("api")
        self.service.start_api(wait=False)
        return True

    def _kill_broker(self) -> bool:
        self.broker.kill()
        time.sleep(self.rng.uniform(0, 1))
        self.broker.start()
        return True

    def _flush_broker(self) -> bool:
        self.broker.flush()
        return True

    def _triple_rings(self) -> bool:
        self.broker.triple()
        return True

    def _drop_sessions(self) -> bool:
        return drop_sessions(self.service.settings.database_url) > 0
