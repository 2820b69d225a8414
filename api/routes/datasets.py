"""Datasets: list, get, add and delete them, with the findings of their checks.

A dataset is added by uploading a zip archive, or by naming a folder or archive on the service's own disk or in a bucket
(`api/datasets_in_place.py`). The response comes at once; the check runs in a process of its own (`worker/checker.py`).
"""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from api import problems
from api.access import CallerDep, DataStores, ReadStores
from api.datasets_in_place import add_in_place
from api.dependencies import PlainText
from api.error_handlers import SEND_AS_JSON
from api.openapi_responses import header_schemas, problem_responses
from api.problems import ProblemError
from api.quota_problems import QUOTA_FORBIDS
from api.schemas.datasets import (
    DUPLICATES_HELP,
    LAYOUT_HELP,
    DatasetBody,
    DatasetList,
    DatasetView,
    Layout,
    ReadingBody,
)
from api.schemas.problems import FieldProblem
from api.upload_detection import ARCHIVE_TYPE, is_upload
from api.uploads import UploadKind, receive
from autonl_core.datasets.check_report import MAX_SHEETS
from autonl_core.datasets.file_kinds import kind_of
from autonl_core.datasets.layouts.grammar import AUTO
from autonl_core.datasets.spec import DuplicatesRule
from autonl_core.datasets.zip_archive import EMPTY_FIRST_BYTES, FIRST_BYTES
from autonl_core.spec.name_field import Name
from store.datasets import Added, ReadAs, sheets_folder
from store.page_tokens import MAX_PAGE_SIZE
from store.states import DatasetState
from store.stores import Stores

POLL_S = 1  # how often to poll a dataset that is being checked
_JSON_TYPE = "application/json"

router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.get("", responses=problem_responses(problems.INVALID_REQUEST))
def list_datasets(
    stores: ReadStores,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="of registered ones")] = MAX_PAGE_SIZE,
    page_token: Annotated[str | None, Query(max_length=1000)] = None,
) -> DatasetList:
    """The built-in datasets, then the registered ones by name, in any state, without their reports."""
    entries, next_page_token = stores.datasets.page(page_size, page_token)
    views = [DatasetView.from_entry(entry, with_report=False) for entry in entries]
    return DatasetList(datasets=views, next_page_token=next_page_token)


@router.get("/{name}", responses=problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST))
def get_dataset(name: PlainText, response: Response, stores: ReadStores) -> DatasetView:
    """A dataset, with the report of its check. While that runs, `Retry-After` says when to poll again."""
    entry = stores.datasets.get(name)
    if entry.state == DatasetState.CHECKING:
        response.headers["Retry-After"] = str(POLL_S)
    return DatasetView.from_entry(entry)


@router.post(
    "",
    status_code=202,
    response_model=DatasetView,
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "A zip archive, or where a folder or archive is: on the disk of the service or in a bucket.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/DatasetBody"}},
                ARCHIVE_TYPE: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
    responses={
        200: {"model": DatasetView, "description": "Already registered", "headers": header_schemas("Location")},
        201: {
            "model": DatasetView,
            "description": "Created; this content has been checked before",
            "headers": header_schemas("Location"),
        },
        202: {"description": "Created; the check has started", "headers": header_schemas("Location", "Retry-After")},
        **problem_responses(
            problems.MALFORMED_REQUEST,
            problems.PAYLOAD_TOO_LARGE,
            problems.INVALID_REQUEST,
            problems.DATASET_INVALID,
            problems.DATASET_EXISTS,
            QUOTA_FORBIDS,
        ),
    },
)
async def add_dataset(
    request: Request,
    response: Response,
    stores: DataStores,
    caller: CallerDep,
    name: Annotated[Name | None, Query(description="for an uploaded archive; a JSON body has its own `name`")] = None,
    layout: Annotated[Layout, Query(description=f"for an uploaded archive: {LAYOUT_HELP}")] = AUTO,
    duplicates: Annotated[
        DuplicatesRule, Query(description=f"for an uploaded archive: {DUPLICATES_HELP}")
    ] = "leave-out",
) -> DatasetView:
    """Add a dataset: upload a zip archive of class folders (`curl -T photos.zip -X POST -H "Content-Type:
    application/zip" ".../datasets?name=photos"`), or register a path or a place in a bucket. It can be searched on
    once it is `ready`.
    """
    if is_upload(request.scope):
        if name is None:
            detail = "an uploaded archive needs a dataset name: ?name=NAME"
            field = FieldProblem(source="query", pointer="name", code="name_missing", detail=detail)
            raise problems.invalid_fields([field])
        reading = ReadAs(layout, duplicates)
        added = await receive(
            request, _archives(stores), lambda upload: stores.datasets.add_upload(name, upload, reading)
        )
    else:
        body = await _read_json(request)
        added = await run_in_threadpool(add_in_place, body, stores, caller)
    return _added_response(added, response)


@router.put(  # which every proxy passes on; PATCH is not
    "/{name}/reading",
    response_model=DatasetView,
    responses={
        202: {"model": DatasetView, "description": "The check has started", "headers": header_schemas("Retry-After")},
        **problem_responses(
            problems.NOT_FOUND,
            problems.DATASET_EXISTS,
            problems.INVALID_REQUEST,
            problems.MALFORMED_REQUEST,
            problems.PAYLOAD_TOO_LARGE,
        ),
    },
)
def read_dataset_again(name: PlainText, body: ReadingBody, response: Response, stores: DataStores) -> DatasetView:
    """Choose how an invalid dataset is read, and check it again without another upload. A `ready` one stays as it is:
    add it again under another name to read it in another way.
    """
    added = stores.datasets.read_again(name, ReadAs(body.layout, body.duplicates))
    return _added_response(added, response)


@router.delete(
    "/{name}",
    status_code=204,
    responses=problem_responses(problems.NOT_FOUND, problems.DATASET_IN_USE, problems.INVALID_REQUEST),
)
def delete_dataset(name: PlainText, stores: DataStores) -> None:
    """Delete a dataset, and its uploaded archive unless another dataset has the same content."""
    stores.datasets.delete(name)


@router.get(
    "/{name}/sheets/{label}",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {}}, "description": "The contact sheet"},
        **problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
def get_sheet(
    name: PlainText,
    label: Annotated[int, PathParameter(ge=0, lt=MAX_SHEETS, description="index of the class in `classes`")],
    stores: ReadStores,
) -> Response:
    """The contact sheet of a class: images sampled evenly from it."""
    entry = stores.datasets.get(name)
    if entry.report is None or label >= entry.report.sheets:
        detail = f"dataset {name!r} ({entry.state}) has no contact sheet {label}; `report.sheets` is their number"
        raise ProblemError(problems.NOT_FOUND, detail)
    with stores.artifacts.open(f"{sheets_folder(entry.spec, entry.tenant_id)}/{label}.jpg") as file:
        return Response(file.read(), media_type="image/jpeg")  # about 50 KB


def _archives(stores: Stores) -> UploadKind:
    return UploadKind(
        noun="zip archive",
        folder=stores.datasets.files,
        require_room=stores.quotas.require_room_for,
        max_bytes=stores.settings.max_upload_bytes,
        setting="AUTONL_MAX_UPLOAD_BYTES",
        invalid=problems.DATASET_INVALID,
        check_start=_require_zip,
    )


def _require_zip(first_block: bytes) -> None:
    if first_block.startswith(EMPTY_FIRST_BYTES):
        detail = "the zip archive is empty, without a single file; pack the class folders again"
        raise ProblemError(problems.DATASET_INVALID, detail)
    if not first_block.startswith(FIRST_BYTES):
        detail = f"not a zip archive, but {kind_of(first_block)}; pack the class folders as a zip"
        raise ProblemError(problems.DATASET_INVALID, detail)


def _added_response(added: Added, response: Response) -> DatasetView:
    entry = added.entry
    response.headers["Location"] = f"/datasets/{entry.spec.name}"
    if entry.state == DatasetState.CHECKING:
        response.headers["Retry-After"] = str(POLL_S)
        response.status_code = 202
    else:
        response.status_code = 201 if added.created else 200
    return DatasetView.from_entry(entry)


async def _read_json(request: Request) -> DatasetBody:
    """The validated body. Raises what FastAPI would, so that it is reported like every other invalid body."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON_TYPE:
        detail = f"{SEND_AS_JSON}; or a zip archive, with Content-Type: {ARCHIVE_TYPE}"
        raise ProblemError(problems.MALFORMED_REQUEST, detail)
    content = await request.body()
    try:
        return DatasetBody.model_validate(json.loads(content))
    except json.JSONDecodeError as error:
        location = ("body", error.pos)
        invalid = {"type": "json_invalid", "loc": location, "msg": "", "ctx": {"error": error.msg}}
        raise RequestValidationError([invalid]) from error
    except ValidationError as error:
        listed = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**field, "loc": ("body", *field["loc"])} for field in listed]) from error
    except (RecursionError, ValueError) as error:  # nested too deeply, a number of too many digits, or not UTF-8
        raise HTTPException(problems.MALFORMED_REQUEST.status) from error
