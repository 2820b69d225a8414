"""The web page, and the description of the API as a page: static files that use the same public API as every client.

They name no path from the root of the host, so that a proxy can serve them below any prefix.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path, PurePath

from fastapi import FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api.access import open_to_all

STATIC = Path(__file__).parent / "static"
RUNTIME = Path(__file__).parent / "page_runtime" / "files"  # what `make page-runtime` leaves; may be absent
INSTALL = "make page-runtime"
_REVALIDATED = {"Cache-Control": "no-cache"}
# Pictures in its style sheet are all that Swagger UI needs beyond what the page does.
DOCS_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A worker has a policy of its own: what it computes predictions with is WebAssembly, which the page may not compile.
_WORKER = "js/predict/worker.js"
WORKER_SECURITY_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"


class _PageFiles(StaticFiles):
    """The files of the page, of which one has another security policy than all others."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if PurePath(path).as_posix() == _WORKER:
            response.headers["Content-Security-Policy"] = WORKER_SECURITY_POLICY
        return response


class _RuntimeFiles(StaticFiles):
    """Large files that change with the runtime only: browsers keep them, and ask whether they are still the same."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_REVALIDATED)
        return response


def mount(app: FastAPI) -> None:
    """Serve the page at `/`, the description of the API at `/docs`, and the files of both below `/static`."""
    app.mount("/static/swagger-ui", StaticFiles(directory=_swagger_ui()), name="swagger-ui")
    if RUNTIME.is_dir():
        app.mount("/static/runtime", _RuntimeFiles(directory=RUNTIME), name="runtime")

    @app.get("/static/runtime.json", include_in_schema=False)
    @open_to_all
    async def runtime() -> dict[str, bool | str]:
        return {"installed": RUNTIME.is_dir(), "install": INSTALL}

    app.mount("/static", _PageFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    @open_to_all
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers=_REVALIDATED)

    @app.get("/docs", include_in_schema=False)
    @open_to_all
    async def docs() -> FileResponse:
        policy = {"Content-Security-Policy": DOCS_SECURITY_POLICY}
        return FileResponse(STATIC / "docs.html", headers=_REVALIDATED | policy)


def _swagger_ui() -> Path:
    """The folder of Swagger UI's files, which a package brings: nothing is loaded from another host."""
    spec = find_spec("fastapi_offline")  # not imported: only its files are needed
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "static"
