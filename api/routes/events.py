"""How a running search is followed: numbered events, metrics, and the logs of its attempts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request, Response

from api import problems
from api.access import ReadStores
from api.dependencies import SearchId
from api.event_streams import CountedStream
from api.event_watch import EventWatch, as_text
from api.openapi_responses import problem_responses
from api.quota_problems import QUOTA_EXCEEDED, RATE_LIMITED
from api.schemas.events import EventList, EventView, LogList, MetricList, MetricPoint
from store.db import UNAVAILABLE
from store.errors import NotFound
from store.events import MAX_EVENTS
from store.logs import read_logs
from store.models import Event
from store.stores import Stores

RECONNECT_MS = 2000
_STREAM_ENDS: tuple[type[Exception], ...] = (NotFound, *UNAVAILABLE)
KEEPALIVE_S = 15.0  # sent on a silent stream, before a proxy on the way closes the connection

After = Annotated[int, Query(ge=0, lt=2**31, description="the last sequence number already received")]

router = APIRouter(prefix="/searches/{search_id}", tags=["searches"])


@router.get(
    "/events",
    response_model=EventList,
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "The events after `after`: as JSON, or as a stream while they happen",
        },
        204: {"description": "The search is final and has no further events: do not reconnect"},
        **problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST, QUOTA_EXCEEDED, RATE_LIMITED),
    },
)
async def get_events(
    search_id: SearchId,
    request: Request,
    stores: ReadStores,
    after: After = 0,
    last_event_id: Annotated[int | None, Header(ge=0, lt=2**31)] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",  # in OpenAPI, the media types of 200 say it
) -> Response:
    """The events of a search: server-sent events until the last one, or JSON if `Accept` asks for it."""
    last_seen = after if last_event_id is None else last_event_id
    final, events = await _read(stores, search_id, last_seen)
    if "application/json" in accept and "text/event-stream" not in accept:
        last_seq = events[-1].seq if events else last_seen
        listed = [EventView.model_validate(event) for event in events]
        page = EventList(events=listed, last_seq=last_seq, final=final and len(events) < MAX_EVENTS)
        return Response(page.model_dump_json(), media_type="application/json")
    if final and not events:
        return Response(status_code=204)
    limits = await anyio.to_thread.run_sync(stores.quotas.limits)
    stream = _stream(request, stores, search_id, last_seen, final, events)
    return CountedStream(stream, request.app.state.event_streams, stores.tenant_id, limits.event_streams)


@router.get("/metrics", responses=problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST))
def get_metrics(
    search_id: SearchId,
    stores: ReadStores,
    after: After = 0,
    names: Annotated[str | None, Query(max_length=2000, description="separated by commas; default: all")] = None,
) -> MetricList:
    """The time series of a search: losses, accuracies, expected MACs, and whatever else its algorithm reports."""
    stores.searches.get(search_id)
    rows = stores.updates.metrics_after(search_id, after)
    points = [MetricPoint.model_validate(row) for row in rows]
    if names is not None:
        requested = {name.strip() for name in names.split(",")}
        for point in points:
            point.values = {name: value for name, value in point.values.items() if name in requested}
    return MetricList(points=[point for point in points if point.values], last_seq=rows[-1].seq if rows else after)


@router.get("/logs", responses=problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST))
def get_logs(
    search_id: SearchId,
    stores: ReadStores,
    attempt: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
    tail: Annotated[int, Query(ge=1, le=10_000, description="lines from the end of each log")] = 1000,
) -> LogList:
    """The log of each attempt."""
    stores.searches.get(search_id)
    attempts = [row for row in stores.searches.attempts(search_id) if attempt in (None, row.fence)]
    return LogList.model_validate({"logs": read_logs(stores.settings, attempts, tail)})


async def _read(stores: Stores, search_id: str, after: int) -> tuple[bool, Sequence[Event]]:
    """Whether the search is final, and its next events: read in this order, because a final search logs no more."""

    def read() -> tuple[bool, Sequence[Event]]:
        final = stores.searches.get(search_id).state.final
        return final, stores.events.after(search_id, after)

    return await anyio.to_thread.run_sync(read)


async def _stream(
    request: Request, stores: Stores, search_id: str, last_seen: int, final: bool, events: Sequence[Event]
) -> AsyncIterator[str]:
    """What was read already, then what all listeners of this process are shown; one far behind reads what it lacks."""
    yield f"retry: {RECONNECT_MS}\n\n"
    for event in events:
        last_seen = event.seq
        yield as_text(event)
    watch: EventWatch = request.app.state.event_watch
    is_over = final and len(events) < MAX_EVENTS
    async with watch.follow(search_id, last_seen, is_over) as followed:
        while not is_over and not await request.is_disconnected():
            changed = followed.changed
            news = followed.after(last_seen)
            is_over = followed.is_over
            if news is None:
                try:
                    final, events = await _read(stores, search_id, last_seen)
                except _STREAM_ENDS:
                    return  # deleted, or the database is down: the client reconnects and is told which
                news = [(event.seq, as_text(event)) for event in events]
                is_over = final and len(events) < MAX_EVENTS
            for seq, text in news:
                last_seen = seq
                yield text
            if not news and not is_over and not await _is_set(changed, KEEPALIVE_S):
                yield ": still here\n\n"


async def _is_set(changed: asyncio.Event, within_s: float) -> bool:
    with anyio.move_on_after(within_s):
        await changed.wait()
    return changed.is_set()
