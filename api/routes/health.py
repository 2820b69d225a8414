"""Liveness, readiness, and metrics of the service."""

from __future__ import annotations

import time
from collections.abc import Iterator

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse

from api import problems
from api.dear_routes import compute
from api.dependencies import StoresDep
from api.error_handlers import DATABASE_RETRY_S
from api.middleware import RequestCounts
from api.openapi_responses import problem_responses
from api.problems import ProblemError
from api.schemas.health import Health, Readiness
from store.db import UNAVAILABLE
from store.errors import BrokerUnreachable, SchemaOutdated
from store.migrate import check_schema
from store.queue import check_broker
from store.stores import Stores

BROKER_TIMEOUT_S = 1.0
METRICS_S = 1.0  # how old they may be

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def get_health() -> Health:
    """Service health: the process responds.

    Depends on nothing else, so that a database failure does not restart healthy processes.
    """
    return Health()


@router.get("/readyz", responses=problem_responses(problems.UNAVAILABLE))
def get_readiness(stores: StoresDep) -> Readiness:
    """Service readiness: database, schema and broker are available. 503 says which of them is not."""
    checks = {"database": _database_state(stores), "broker": _broker_state(stores)}
    failing = [f"{name}: {state}" for name, state in checks.items() if state != "ok"]
    if failing:
        headers = {"Retry-After": str(DATABASE_RETRY_S)}
        raise ProblemError(problems.UNAVAILABLE, "; ".join(failing), headers=headers, checks=checks)
    return Readiness(checks=checks)


@router.get("/metrics", response_class=PlainTextResponse, responses=problem_responses(problems.UNAVAILABLE))
async def get_service_metrics(request: Request, stores: StoresDep) -> PlainTextResponse:
    """Metrics of the service in the Prometheus text format. They are counted at most once in a second."""

    def text() -> str:
        cached: tuple[float, str] | None = getattr(request.app.state, "metrics", None)
        if cached is None or time.monotonic() - cached[0] > METRICS_S:
            lines = [*_search_lines(stores), *_request_lines(request.app.state.counts)]
            cached = request.app.state.metrics = (time.monotonic(), "\n".join(lines) + "\n")
        return cached[1]

    content = await compute(request, text)
    return PlainTextResponse(content, media_type="text/plain; version=0.0.4; charset=utf-8")


def _database_state(stores: Stores) -> str:
    try:
        check_schema(stores.database)
    except SchemaOutdated as error:
        return str(error)
    except UNAVAILABLE as error:
        return f"does not respond ({type(error).__name__})"
    return "ok"


def _broker_state(stores: Stores) -> str:
    try:
        check_broker(stores.settings.broker_url, BROKER_TIMEOUT_S)
    except BrokerUnreachable as error:
        return str(error)
    return "ok"


def _search_lines(stores: Stores) -> Iterator[str]:
    yield "# HELP autonl_searches Searches in each state."
    yield "# TYPE autonl_searches gauge"
    for state, count in stores.searches.count_by_state().items():
        yield f'autonl_searches{{state="{state}"}} {count}'
    yield "# HELP autonl_oldest_queued_seconds How long the oldest queued search has been waiting."
    yield "# TYPE autonl_oldest_queued_seconds gauge"
    yield f"autonl_oldest_queued_seconds {stores.sweeps.oldest_wait_s():.3f}"


def _request_lines(counts: RequestCounts) -> Iterator[str]:
    yield "# HELP autonl_http_requests_total Requests since the process started."
    yield "# TYPE autonl_http_requests_total counter"
    for (method, route, status), count in sorted(counts.requests.items()):
        yield f'autonl_http_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}'
    yield "# HELP autonl_http_request_seconds_total Seconds spent on requests, streams included."
    yield "# TYPE autonl_http_request_seconds_total counter"
    for route, seconds in sorted(counts.seconds.items()):
        yield f'autonl_http_request_seconds_total{{route="{route}"}} {seconds:.6f}'
