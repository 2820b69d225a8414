"""One look at the database for all who listen to events, whatever their number, and one text for all of them.

Every half second, and on PostgreSQL as soon as an event is committed, one statement reads how far each followed search
is. Only of those that went on are the new events read, once, and each listener takes from them what it lacks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from anyio.to_thread import run_sync

from api.schemas.events import EventView
from store.db import UNAVAILABLE
from store.event_signals import EventSignals
from store.events import MAX_EVENTS
from store.models import Event
from store.stores import Stores

LOOK_S = 0.5
_KEPT = 200  # events of a followed search, for listeners that are a little behind

log = logging.getLogger(__name__)


def as_text(event: Event) -> str:
    """An event as it is sent in a stream."""
    return f"id: {event.seq}\ndata: {EventView.model_validate(event).model_dump_json()}\n\n"


@dataclass
class Followed:
    """A search with listeners.

    Args:
        seq: the last event that was read, of those before it `recent` has the newest.
        is_over: no further event will follow, or the search is gone.
        changed: set when anything here has changed, and then replaced.
    """

    seq: int
    is_over: bool = False
    recent: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    listeners: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def after(self, seq: int) -> list[tuple[int, str]] | None:
        """Number and text of the events after `seq`, as far as they were read; None: some are no longer kept."""
        newer = [event for event in self.recent if event[0] > seq]
        return newer if len(newer) >= self.seq - seq else None


class EventWatch:
    """Looks while anyone listens. Used from one event loop; `run` is one of its tasks."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._followed: dict[str, Followed] = {}
        self._wanted = asyncio.Event()

    @asynccontextmanager
    async def follow(self, search_id: str, seq: int, is_over: bool) -> AsyncIterator[Followed]:
        """Follow a search, which was seen at the event `seq`, for as long as the context is open."""
        followed = self._followed.setdefault(search_id, Followed(seq, is_over))
        followed.listeners += 1
        self._wanted.set()
        try:
            yield followed
        finally:
            followed.listeners -= 1
            if not followed.listeners and self._followed.get(search_id) is followed:
                del self._followed[search_id]

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        signals = EventSignals(self._stores.database)
        try:
            while True:
                while not self._followed:
                    self._wanted.clear()
                    await self._wanted.wait()
                await run_sync(signals.wait, LOOK_S, abandon_on_cancel=True)
                try:
                    await self._look()
                except UNAVAILABLE as error:
                    log.warning("database unavailable; listeners wait: %s", error)
                except Exception:  # one look must not end all later ones
                    log.exception("looking for events failed")
        finally:
            signals.close()

    async def _look(self) -> None:
        known = {search_id: followed.seq for search_id, followed in self._followed.items() if not followed.is_over}
        if not known:
            return
        found = await run_sync(self._stores.events.news, known)
        for search_id, (is_over, events) in found.items():
            if (followed := self._followed.get(search_id)) is not None:
                _add(followed, is_over, events)


def _add(followed: Followed, is_over: bool, events: Sequence[Event]) -> None:
    fresh = [event for event in events if event.seq > followed.seq]
    is_over = is_over and len(events) < MAX_EVENTS
    if not fresh and not is_over:
        return
    followed.recent.extend((event.seq, as_text(event)) for event in fresh)
    followed.seq = fresh[-1].seq if fresh else followed.seq
    followed.is_over = is_over
    followed.changed.set()
    followed.changed = asyncio.Event()
