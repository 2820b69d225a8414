"""Data sets: which there are, adding and deleting them, and what their check found.

A data set is added by sending a zip archive, or by naming a folder or archive that lies on the service's own disk. The
answer comes at once; the check goes on in a process of its own (`worker/checker.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from api import problems
from api.dependencies import PlainText, StoresDep
from api.error_handlers import NOT_SENT_AS_JSON
from api.middleware import UPLOAD_TYPE, is_upload
from api.problems import FieldProblem, ProblemError, describe, headers
from api.schemas.catalog import DatasetBody, DatasetList, DatasetView
from api.uploads import receive
from autonl_core.datasets.check_report import MAX_SHEETS
from autonl_core.datasets.file_source import Kind
from autonl_core.datasets.spec import has_changed
from autonl_core.datasets.zip_archive import starts_like_an_archive
from autonl_core.spec.config import Name
from store.datasets import Added, sheets_folder
from store.errors import NotFound
from store.settings import Settings
from store.states import DatasetState
from store.stores import Stores

POLL_S = 1
_JSON_TYPES = ("application/json", "")

router = APIRouter(prefix="/datasets", tags=["data sets"])


@router.get("")
def list_datasets(stores: StoresDep) -> DatasetList:
    """The built-in data sets, then the registered ones by name, whatever their state, without their reports."""
    return DatasetList(datasets=[DatasetView.of(entry, with_report=False) for entry in stores.datasets.list()])


@router.get("/{name}", responses=describe(problems.NOT_FOUND, problems.INVALID_REQUEST))
def get_dataset(name: PlainText, response: Response, stores: StoresDep) -> DatasetView:
    """One data set, with the report of its check. `Retry-After` says when to look again, while it is checked."""
    entry = stores.datasets.get(name)
    if entry.state == DatasetState.CHECKING:
        response.headers["Retry-After"] = str(POLL_S)
    return DatasetView.of(entry)


@router.post(
    "",
    status_code=202,
    response_model=DatasetView,
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "An archive itself, or where one lies, or a folder, on the disk of the service.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/DatasetBody"}},
                UPLOAD_TYPE: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
    responses={
        200: {"model": DatasetView, "description": "It was there already", "headers": headers("Location")},
        201: {"model": DatasetView, "description": "This content was checked before", "headers": headers("Location")},
        202: {"description": "It is being checked", "headers": headers("Location", "Retry-After")},
        **describe(
            problems.MALFORMED_REQUEST,
            problems.PAYLOAD_TOO_LARGE,
            problems.INVALID_REQUEST,
            problems.DATASET_INVALID,
            problems.DATASET_EXISTS,
            problems.INSUFFICIENT_STORAGE,
        ),
    },
)
async def add_dataset(
    request: Request,
    response: Response,
    stores: StoresDep,
    name: Annotated[Name | None, Query(description="of an archive that is sent; JSON has a `name` of its own")] = None,
) -> DatasetView:
    """Add a data set: send a zip archive of class folders (`curl -T photos.zip -X POST -H "Content-Type:
    application/zip" ".../datasets?name=photos"`), or register a path. It can be searched on once it is `ready`.
    """
    if is_upload(request.scope):
        if name is None:
            wrong = FieldProblem(
                source="query", pointer="name", code="name_missing", detail="name the data set: ?name=NAME"
            )
            raise problems.invalid([wrong])
        added = await receive(request, stores, name)
    else:
        body = await _read_json(request)
        added = await run_in_threadpool(_add_path, body, stores)
    return _answer(added, response)


@router.delete(
    "/{name}",
    status_code=204,
    responses=describe(problems.NOT_FOUND, problems.DATASET_IN_USE, problems.INVALID_REQUEST),
)
def delete_dataset(name: PlainText, stores: StoresDep) -> None:
    """Forget a data set, and delete what was uploaded unless another data set has the same content."""
    stores.datasets.delete(name)


@router.get(
    "/{name}/sheets/{label}",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {}}, "description": "The picture"},
        **describe(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
def get_sheet(
    name: PlainText,
    label: Annotated[int, PathParameter(ge=0, lt=MAX_SHEETS, description="index of the class in `classes`")],
    stores: StoresDep,
) -> Response:
    """A contact sheet of one class: images spread evenly over it."""
    entry = stores.datasets.get(name)
    if entry.report is None or label >= entry.report.sheets:
        told = (
            f"data set {name!r} ({entry.state}) has no contact sheet of class {label}; `report.sheets` tells how many"
        )
        raise ProblemError(problems.NOT_FOUND, told)
    with stores.artifacts.open(f"{sheets_folder(entry.spec)}/{label}.jpg") as file:
        return Response(file.read(), media_type="image/jpeg")  # some 50 KB


def _answer(added: Added, response: Response) -> DatasetView:
    entry = added.entry
    response.headers["Location"] = f"/datasets/{entry.spec.name}"
    if entry.state == DatasetState.CHECKING:
        response.headers["Retry-After"] = str(POLL_S)
        response.status_code = 202
    else:
        response.status_code = 201 if added.created else 200
    return DatasetView.of(entry)


async def _read_json(request: Request) -> DatasetBody:
    """The body, validated. Raises what FastAPI would, so that it is told like every other wrong body."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _JSON_TYPES:
        told = f"{NOT_SENT_AS_JSON}; or a zip archive, with Content-Type: {UPLOAD_TYPE}"
        raise ProblemError(problems.MALFORMED_REQUEST, told)
    content = await request.body()
    try:
        return DatasetBody.model_validate(json.loads(content))
    except json.JSONDecodeError as error:
        wrong: dict[str, Any] = {
            "type": "json_invalid",
            "loc": ("body", error.pos),
            "msg": "",
            "ctx": {"error": error.msg},
        }
        raise RequestValidationError([wrong]) from error
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**wrong, "loc": ("body", *wrong["loc"])} for wrong in found]) from error
    except (RecursionError, ValueError) as error:  # nested too deeply, a number of too many digits, no UTF-8
        raise HTTPException(problems.MALFORMED_REQUEST.status) from error


def _add_path(body: DatasetBody, stores: Stores) -> Added:
    path = _allowed_path(body.path, stores.settings)
    try:
        kind = _kind_at(path)
        outdated = _outdated(body.name, path, stores) if kind else None
    except OSError as error:
        told = f"{path} cannot be read: {error.strerror or error}"
        raise ProblemError(problems.DATASET_INVALID, told) from error
    if kind is None:
        raise ProblemError(problems.DATASET_INVALID, f"{path} is neither a folder nor a zip archive")
    return stores.datasets.add_path(body.name, kind, path, outdated=outdated)


def _kind_at(path: Path) -> Kind | None:
    """Raises OSError if it cannot be looked at: no permission, or a name that is too long."""
    if path.is_dir():
        return "folder"
    return "zip" if path.is_file() and starts_like_an_archive(path) else None


def _outdated(name: str, path: Path, stores: Stores) -> str | None:
    """The fingerprint of the data set that is registered already, if its images are not those of its check any more."""
    try:
        entry = stores.datasets.get(name)
    except NotFound:
        return None
    if entry.state != DatasetState.READY or entry.spec.location != str(path):
        return None
    return entry.spec.fingerprint if has_changed(entry.spec, stores.settings.limits) else None


def _allowed_path(text: str, settings: Settings) -> Path:
    """The real path that `text` means. Raises ProblemError unless it lies below a folder the operator opened."""
    roots = [root.resolve() for root in settings.dataset_roots]
    if not roots:
        raise _refused(
            "this service registers no data sets by path; send the archive itself, or have its operator allow a "
            "folder: AUTONL_DATASET_ROOTS"
        )
    path = Path(text) if "\0" not in text else None
    if path is None or not path.is_absolute():
        raise _refused("must be an absolute path on the disk of the service")
    try:
        real = path.resolve()
    except (OSError, RuntimeError, UnicodeError) as error:  # too long, or links in a circle
        raise _refused(f"is no usable path: {type(error).__name__}") from error
    if not any(real.is_relative_to(root) for root in roots):
        allowed = ", ".join(str(root) for root in roots)
        raise _refused(f"lies outside the folders that this service may read: {allowed}")
    return real


def _refused(reason: str) -> ProblemError:
    return problems.invalid([FieldProblem(pointer="/path", code="path_not_allowed", detail=reason)])
