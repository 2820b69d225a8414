"""One seeded run of many faults at once: many searches, every kind of fault, and users who change their minds.

The seed determines the faults, their order, their victims and the waits between them. The timing of the machine differs
from run to run; the resulting history must be sound in any case.
"""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence

import httpx
import psutil

from store.errors import StateConflict
from store.states import SearchState
from tests.reliability.broker import VolatileBroker
from tests.reliability.service import SEARCH, Service, drop_sessions, has_exited, send_signal
from tests.servers import wait_for

WORKERS = ("worker-1", "worker-2", "worker-3")
SWEEPERS = ("sweeper-1", "sweeper-2")
SEARCHES = 110
FAULTS = 45
PACE_S = (0.3, 1.5)  # between consecutive faults
SLEEP_S = (1.0, 8.0)  # how long a process is frozen: some wake within their lease, some long after it


class Chaos:
    """Injects faults into `service` as planned by `seed`, while searches are submitted to it over HTTP.

    Args:
        keys: of the users, who take turns; none: a service that needs no keys, with one user.
    """

    def __init__(self, service: Service, broker: VolatileBroker, seed: int, keys: Sequence[str] = ()) -> None:
        self.service, self.broker = service, broker
        self._users = [{"Authorization": f"Bearer {key}"} for key in keys] or [{}]
        self.refused: Counter[int] = Counter()  # requests that no key allowed, by status
        self.rng = random.Random(seed)
        self.accepted: list[str] = []
        self.faults: Counter[str] = Counter()
        self._frozen: list[tuple[float, psutil.Process]] = []  # when to wake which process
        self._kinds: dict[str, Callable[[], bool]] = {
            "kill -9 search": lambda: self._signal_search(signal.SIGKILL),
            "kill -9 supervisor": lambda: self._signal_supervisor(signal.SIGKILL),
            "kill -9 worker": self._kill_worker,
            "freeze search": lambda: self._signal_search(signal.SIGSTOP),
            "freeze supervisor and search": self._freeze_both,
            "drain worker": self._drain_worker,
            "kill -9 sweeper": self._kill_sweeper,
            "kill -9 broker": self._kill_broker,
            "flush broker": self._flush_broker,
            "triple notifications": self._triple_notifications,
            "drop database sessions": self._drop_sessions,
            "kill -9 API": self._kill_api,
        }

    def run(self) -> None:
        """Submit searches and inject faults until both are done, then wake and resume everything."""
        self._start()
        plan = [kind for kind in self._kinds for _ in range(FAULTS // len(self._kinds) + 1)]
        self.rng.shuffle(plan)
        while plan or len(self.accepted) < SEARCHES:
            for _ in range(self.rng.randint(4, 8)):  # faster than they can run, so there is always a search to hit
                if len(self.accepted) < SEARCHES:
                    self._submit()
            self._change_a_mind()
            self._trespass()
            self._wake(time.monotonic())
            if plan:
                kind = plan.pop()
                if self._kinds[kind]():
                    self.faults[kind] += 1
                else:
                    plan.insert(0, kind)  # no suitable victim at the moment
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

    def accepted_of(self, user: int) -> list[str]:
        """The searches of one of the users."""
        return self.accepted[user :: len(self._users)]

    def seen_by(self, user: int) -> dict[str, str]:
        """The searches that a user is shown, on all pages, and their states."""
        seen: dict[str, str] = {}
        path: str | None = "/searches?page_size=50"
        while path is not None:
            page = self.service.request_patiently("GET", path, headers=self._users[user])
            seen |= {search["id"]: search["state"] for search in page["searches"]}
            token = page["next_page_token"]
            path = None if token is None else f"/searches?page_size=50&page_token={token}"
        return seen

    def _submit(self) -> None:
        """Submit a search until it is accepted; the idempotency key makes sure that it is started once."""
        number = len(self.accepted)
        headers = self._users[number % len(self._users)]
        accepted = self.service.request_patiently("POST", "/searches", key=f"search-{number}", headers=headers)
        self.accepted.append(accepted["id"])

    def _trespass(self) -> None:
        """With keys: a request without one, and one for a search of another user, in the middle of the faults."""
        if len(self._users) < 2:
            return
        user = self.rng.randrange(len(self._users))
        foreign = self.rng.choice(self.accepted_of((user + 1) % len(self._users)))
        requests: list[tuple[str, str, dict[str, str]]] = [
            ("POST", "/searches", {}),
            ("POST", f"/searches/{foreign}/cancel", self._users[user]),
        ]
        for method, path, headers in requests:
            with contextlib.suppress(httpx.TransportError):
                answer = self.service.client.request(
                    method, path, json=SEARCH if not headers else None, headers=headers
                )
                self.refused[answer.status_code] += 1

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
        """Resume every paused search."""
        for search_id in self.accepted:
            if self.service.state(search_id) in (SearchState.PAUSED, SearchState.PAUSING):
                self.service.stores.control.resume(search_id)

    # Faults. Each returns whether there was a victim.

    def _busy(self) -> str | None:
        """A worker that runs a search and is not frozen; None if there is none at the moment."""
        frozen = {process.pid for _, process in self._frozen}
        busy = [
            name
            for name in WORKERS
            if self.service.search_processes(name) and not frozen & {p.pid for p in self.service.family(name)}
        ]
        return self.rng.choice(busy) if busy else None

    def _signal_search(self, number: int) -> bool:
        name = self._busy()
        return name is not None and self._signal(self.service.search_processes(name), number)

    def _signal_supervisor(self, number: int) -> bool:
        name = self._busy()
        return name is not None and self._signal(self.service.supervisors(name), number)

    def _freeze_both(self) -> bool:
        name = self._busy()
        return name is not None and self._signal(self.service.family(name), signal.SIGSTOP)

    def _signal(self, victims: list[psutil.Process], number: int) -> bool:
        wake_at = time.monotonic() + self.rng.uniform(*SLEEP_S)
        for victim in victims:
            send_signal(victim, number)
            if number == signal.SIGSTOP:
                self._frozen.append((wake_at, victim))
        return bool(victims)

    def _wake(self, moment: float) -> None:
        for wake_at, process in list(self._frozen):
            if wake_at <= moment:
                self._frozen.remove((wake_at, process))
                if not has_exited(process):
                    send_signal(process, signal.SIGCONT)

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

    def _triple_notifications(self) -> bool:
        self.broker.triple()
        return True

    def _drop_sessions(self) -> bool:
        return drop_sessions(self.service.settings.database_url) > 0
