"""The application: routes, stores and middleware. `uvicorn api.app:app` serves it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import metadata
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.cors import CORSMiddleware

from api import error_handlers, page
from api.access import KnownCallers
from api.compression import CompressionMiddleware
from api.dear_routes import one_at_a_time
from api.event_streams import OpenStreams
from api.event_watch import EventWatch
from api.head_requests import HeadMiddleware
from api.known_parameters import require_known_parameters
from api.middleware import RequestMiddleware
from api.openapi_examples import add_examples
from api.openapi_responses import problem_responses
from api.origins import CORS
from api.problems import FORBIDDEN, INSUFFICIENT_STORAGE, UNAUTHORIZED, UNAVAILABLE
from api.quota_problems import RATE_LIMITED
from api.rate_limits import RateLimits, limit_rate
from api.routes import (
    architectures,
    catalog,
    checkpoints,
    comparison,
    corrections,
    datasets,
    devices,
    doubtful_labels,
    events,
    health,
    keys,
    models,
    problems,
    repeats,
    reports,
    searches,
    session,
    trade_off,
    usage,
    webhooks,
    weights,
)
from api.schemas.datasets import DatasetBody
from api.schemas.problems import Problem
from api.search_responses import KeptBodies
from autonl_core.spec.macs import COUNTING_RULE
from store.queue import WorkerNotifier
from store.settings import Settings
from store.stores import open_stores
from telemetry.metrics import RequestMetrics

DESCRIPTION = f"""
Search-as-a-service for image classifiers that fit a MACs budget: `POST /searches`, poll, download.

Every path is also served below `/v1`, where it stays as it is for as long as that version is kept: docs/stability.md.
A search outlives its request: it is a resource to poll, or to follow by its events, until its state is final.
Errors are problem documents (RFC 9457) that list every invalid field. MACs are {COUNTING_RULE}.
"""
_DATABASE_ROUTES = (  # may respond with 503
    searches,
    trade_off,
    repeats,
    comparison,
    doubtful_labels,
    events,
    architectures,
    checkpoints,
    reports,
    datasets,
    corrections,
    weights,
    devices,
    models,
    keys,
    webhooks,
    usage,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application for these settings; None: those of the environment. Opens no connection before it is served."""
    settings = settings or Settings()

    app = FastAPI(
        title="AutoNL",
        version=metadata.version("autonl"),
        description=DESCRIPTION,
        lifespan=_lifespan(settings),
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,  # short and stable: generated clients are named by it
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # `page` serves one whose scripts are on this host
        redoc_url=None,
        dependencies=[Depends(require_known_parameters)],
    )
    app.state.settings = settings
    app.state.metrics = RequestMetrics(settings.data_dir)
    error_handlers.install(app)
    _include_routes(app)
    page.mount(app)
    app.add_middleware(CompressionMiddleware)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(RequestMiddleware, metrics=app.state.metrics, settings=settings)  # around those before
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **CORS)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _include_routes(app: FastAPI) -> None:
    counted: dict[str, Any] = {"dependencies": [Depends(limit_rate)]}
    for_all = UNAVAILABLE, UNAUTHORIZED, RATE_LIMITED
    for module in _DATABASE_ROUTES:
        responses = problem_responses(*for_all, INSUFFICIENT_STORAGE, FORBIDDEN)
        app.include_router(module.router, responses=responses, **counted)
    app.include_router(session.router, responses=problem_responses(UNAVAILABLE))
    app.include_router(catalog.router, responses=problem_responses(*for_all), **counted)
    for module in (problems, health):
        app.include_router(module.router)


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """What is opened before the first request, and closed after the last one."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.stores = open_stores(settings)
        app.state.known_callers = KnownCallers(app.state.stores.keys)
        app.state.kept_bodies = KeptBodies()
        app.state.dear_routes = one_at_a_time()
        app.state.rate_limits, app.state.event_streams = RateLimits(settings), OpenStreams()
        app.state.notifier = WorkerNotifier(settings.broker_url)
        app.state.notifier.start()
        for store in (app.state.stores.datasets, app.state.stores.weight_sets):
            store.files.delete_parts()  # left by uploads to a service that was killed
        app.state.event_watch = EventWatch(app.state.stores)
        watching = asyncio.create_task(app.state.event_watch.run(), name="event watch")
        yield
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await app.state.rate_limits.close()
        app.state.notifier.close()
        app.state.known_callers.close()
        app.state.stores.close()

    return lifespan


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's OpenAPI description, with problem documents in place of FastAPI's own errors."""
    if app.openapi_schema is None:
        described = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            license_info=app.license_info,
        )
        described["servers"] = [{"url": "."}]  # relative to this description, wherever a proxy serves it
        schemas = described["components"]["schemas"]
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= problem.pop("$defs") | {"Problem": problem}
        schemas["DatasetBody"] = DatasetBody.model_json_schema()  # parsed by its route, not by FastAPI
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        _describe_keys(described, required=app.state.settings.require_keys)
        _remove_null_from_parameters(described)
        add_examples(described)
        app.openapi_schema = described
    return app.openapi_schema


def _describe_keys(described: dict[str, Any], *, required: bool) -> None:
    """Say of each operation that refuses unknown keys how a key is sent, and whether it has to be."""
    described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for operations in described["paths"].values():
        for operation in operations.values():
            if str(UNAUTHORIZED.status) in operation["responses"]:
                operation.setdefault("security", [{"key": []}] if required else [{"key": []}, {}])


def _remove_null_from_parameters(described: dict[str, Any]) -> None:
    """An optional parameter is left out; a URL or a header cannot hold null."""
    for operations in described["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                schema = parameter["schema"]
                kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
                if len(kinds) == 1:
                    schema |= kinds[0]
                    del schema["anyOf"]
                elif kinds:
                    schema["anyOf"] = kinds


def __getattr__(name: str) -> FastAPI:
    """`app`, created on first access, so that importing this module reads no settings."""
    if name == "app":
        return create_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
