"""The application: routes, stores and the layers around them. `uvicorn api.app:app` serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import error_handlers, page
from api.middleware import Edge, RequestCounts
from api.problems import UNAVAILABLE, Problem, describe
from api.routes import architectures, catalog, checkpoints, datasets, events, health, reports, searches
from api.schemas.catalog import DatasetBody
from autonl_core.spec.macs import COUNTING_RULE
from store.queue import WorkerNotifier
from store.settings import Settings
from store.stores import open_stores

VERSION = "0.1.0"
DESCRIPTION = f"""
Search-as-a-service for image classifiers that fit a MACs budget: `POST /searches`, poll, download.

A search runs longer than a request: it is a resource that is polled, or listened to, until its state is final.
Errors are problem documents (RFC 9457) that list every wrong field. MACs are {COUNTING_RULE}.
"""
_STORED = (searches, events, architectures, checkpoints, reports, datasets)  # each needs the database


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application for these settings; None: those of the environment. Connects to nothing yet."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.stores = open_stores(settings)
        app.state.notifier = WorkerNotifier(settings.broker_url)
        app.state.stores.datasets.files.delete_parts()  # of uploads to a service that was killed
        yield
        app.state.notifier.close()
        app.state.stores.close()

    app = FastAPI(
        title="AutoNL",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        separate_input_output_schemas=False,
        docs_url=None,  # their scripts come from other hosts
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.counts = RequestCounts()
    error_handlers.install(app)
    for module in _STORED:
        app.include_router(module.router, responses=describe(UNAVAILABLE))
    for module in (catalog, health):
        app.include_router(module.router)
    page.mount(app)
    app.add_middleware(
        Edge,
        counts=app.state.counts,
        max_body_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes,
    )
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, with problem documents where it would describe its own errors."""
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = described["components"]["schemas"]
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= problem.pop("$defs") | {"Problem": problem}
        schemas["DatasetBody"] = DatasetBody.model_json_schema()  # read by its route itself
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        _leave_out_null(described)
        app.openapi_schema = described
    return app.openapi_schema


def _leave_out_null(described: dict[str, Any]) -> None:
    """A parameter that is optional can be left out; in a URL or a header there is no null."""
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
    """`app`, made when a server asks for it: importing this module reads no settings."""
    if name == "app":
        return create_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
