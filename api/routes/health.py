"""Liveness, readiness, and metrics of the service."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from prometheus_client import generate_latest
from starlette.responses import PlainTextResponse

from api import problems
from api.access import ServiceStores, open_to_all
from api.dear_routes import compute
from api.dependencies import StoresDep
from api.error_handlers import DATABASE_RETRY_S
from api.openapi_responses import problem_responses
from api.problems import ProblemError
from api.schemas.health import Health, Readiness
from api.service_metrics import service_metrics
from store.db import UNAVAILABLE
from store.errors import BrokerUnreachable, SchemaOutdated
from store.migrate import check_schema
from store.queue import check_broker
from store.stores import Stores

BROKER_TIMEOUT_S = 1.0
METRICS_S = 1.0  # how old they may be

router = APIRouter(tags=["operation"])
_OF_METRICS = problem_responses(problems.UNAVAILABLE, problems.UNAUTHORIZED, problems.FORBIDDEN)


@router.get("/healthz")
@open_to_all
async def get_health() -> Health:
    """Service health: the process responds.

    Depends on nothing else, so that a database failure does not restart healthy processes.
    """
    return Health()


@router.get("/readyz", responses=problem_responses(problems.UNAVAILABLE))
@open_to_all
def get_readiness(stores: StoresDep) -> Readiness:
    """Service readiness: database, schema and broker are available. 503 says which of them is not."""
    checks = {"database": _database_state(stores), "broker": _broker_state(stores)}
    failing = [f"{name}: {state}" for name, state in checks.items() if state != "ok"]
    if failing:
        headers = {"Retry-After": str(DATABASE_RETRY_S)}
        raise ProblemError(problems.UNAVAILABLE, "; ".join(failing), headers=headers, checks=checks)
    return Readiness(checks=checks)


@router.get("/metrics", response_class=PlainTextResponse, responses=_OF_METRICS)
async def get_service_metrics(request: Request, stores: ServiceStores) -> PlainTextResponse:
    """Metrics of the service in the Prometheus text format. They are counted at most once in a second."""

    def text() -> bytes:
        cached: tuple[float, bytes] | None = getattr(request.app.state, "metrics_text", None)
        if cached is None or time.monotonic() - cached[0] > METRICS_S:
            content = service_metrics(stores) + generate_latest(request.app.state.metrics.registry)
            cached = request.app.state.metrics_text = (time.monotonic(), content)
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
