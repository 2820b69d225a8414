"""What a search tells while it runs: its numbered events, its metrics, the logs of its attempts."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import StreamingResponse

from api import problems
from api.dependencies import SearchId, StoresDep
from api.problems import describe
from api.schemas.events import EventList, EventView, LogList, MetricList, MetricPoint
from store.db import UNAVAILABLE
from store.errors import NotFound
from store.events import MAX_EVENTS
from store.logs import read_logs
from store.models import Event
from store.stores import Stores

RECONNECT_MS = 2000
_STREAM_ENDS: tuple[type[Exception], ...] = (NotFound, *UNAVAILABLE)
COMMENT_S = 15.0  # a sign of life, before a proxy on the way gives up on a silent connection
LOOK_S = 0.5  # how often the log is read for a listening client

After = Annotated[int, Query(ge=0, lt=2**31, description="the last number already seen")]

router = APIRouter(prefix="/searches/{search_id}", tags=["searches"])


@router.get(
    "/events",
    response_model=EventList,
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "The events after the given one, as JSON or as they come",
        },
        204: {"description": "The search is final and all its events were seen: do not connect again"},
        **describe(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
async def get_events(
    search_id: SearchId,
    request: Request,
    stores: StoresDep,
    after: After = 0,
    last_event_id: Annotated[int | None, Header(ge=0, lt=2**31)] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",  # OpenAPI tells it by the media types of 200
) -> Response:
    """The events of a search: server-sent events until the last one, or JSON if `Accept` asks so."""
    seen = after if last_event_id is None else last_event_id
    final, events = await _read(stores, search_id, seen)
    if "application/json" in accept and "text/event-stream" not in accept:
        last_seq = events[-1].seq if events else seen
        listed = [EventView.model_validate(event) for event in events]
        answer = EventList(events=listed, last_seq=last_seq, final=final and len(events) < MAX_EVENTS)
        return Response(answer.model_dump_json(), media_type="application/json")
    if final and not events:
        return Response(status_code=204)
    stream = _stream(request, stores, search_id, seen)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@router.get("/metrics", responses=describe(problems.NOT_FOUND, problems.INVALID_REQUEST))
def get_metrics(
    search_id: SearchId,
    stores: StoresDep,
    after: After = 0,
    names: Annotated[str | None, Query(max_length=2000, description="separated by commas; all if not given")] = None,
) -> MetricList:
    """The time series of a search: losses, accuracies, expected MACs, and what else the algorithm reports."""
    stores.searches.get(search_id)
    rows = stores.updates.metrics_after(search_id, after)
    points = [MetricPoint.model_validate(row) for row in rows]
    if names is not None:
        wanted = {name.strip() for name in names.split(",")}
        for point in points:
            point.values = {name: value for name, value in point.values.items() if name in wanted}
    return MetricList(points=[p for p in points if p.values], last_seq=rows[-1].seq if rows else after)


@router.get("/logs", responses=describe(problems.NOT_FOUND, problems.INVALID_REQUEST))
def get_logs(
    search_id: SearchId,
    stores: StoresDep,
    attempt: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
    tail: Annotated[int, Query(ge=1, le=10_000, description="lines from the end of each log")] = 1000,
) -> LogList:
    """What each attempt wrote to its log."""
    stores.searches.get(search_id)
    attempts = [row for row in stores.searches.attempts(search_id) if attempt in (None, row.fence)]
    return LogList.model_validate({"logs": read_logs(stores.settings, attempts, tail)})


async def _read(stores: Stores, search_id: str, after: int) -> tuple[bool, Sequence[Event]]:
    """Whether the search is final, and its next events. In this order: a final search has logged all it ever will."""

    def read() -> tuple[bool, Sequence[Event]]:
        final = stores.searches.get(search_id).state.final
        return final, stores.events.after(search_id, after)

    return await anyio.to_thread.run_sync(read)


async def _stream(request: Request, stores: Stores, search_id: str, seen: int) -> AsyncIterator[str]:
    yield f"retry: {RECONNECT_MS}\n\n"
    spoke_at = time.monotonic()
    while not await request.is_disconnected():
        try:
            final, events = await _read(stores, search_id, seen)
        except _STREAM_ENDS:
            return  # deleted, or the database is away: the client connects again and learns which
        for event in events:
            seen = event.seq
            yield f"id: {seen}\ndata: {EventView.model_validate(event).model_dump_json()}\n\n"
            spoke_at = time.monotonic()
        if final and len(events) < MAX_EVENTS:
            return
        if time.monotonic() - spoke_at > COMMENT_S:
            yield ": still here\n\n"
            spoke_at = time.monotonic()
        if not events:
            await anyio.sleep(LOOK_S)
