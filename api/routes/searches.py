"""Searches: start, list, look at, cancel, delete."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from api import problems
from api.dependencies import (
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    Moment,
    SearchId,
    StoresDep,
    make_etag,
    matches,
    require_match,
)
from api.problems import describe, headers
from api.schemas.base import MacsRange
from api.schemas.searches import PlanView, SearchList, SearchView
from api.search_validation import CheckedSearch, SearchBody, check_search
from autonl_core.spec.config import Name, SearchConfig
from store.errors import DatasetChanged
from store.models import Search
from store.searches import MAX_PAGE_SIZE, SearchFilter
from store.states import SearchState
from store.stores import Stores

POLL_S = 2  # how often it pays to look at a search that is not final

router = APIRouter(prefix="/searches", tags=["searches"])


@router.post(
    "",
    status_code=202,
    response_model=SearchView,
    responses={
        200: {"model": PlanView, "description": "With `validate_only`: it would be accepted. Nothing was created."},
        202: {"headers": headers("Location", "ETag")},
        **describe(
            problems.MALFORMED_REQUEST,
            problems.PAYLOAD_TOO_LARGE,
            problems.INVALID_REQUEST,
            problems.BUDGET_INFEASIBLE,
            problems.IDEMPOTENCY_KEY_REUSE,
        ),
    },
)
def start_search(
    body: SearchBody,
    request: Request,
    stores: StoresDep,
    idempotency_key: IdempotencyKey = None,
    validate_only: Annotated[bool, Query(description="only check, and tell the feasible range")] = False,
) -> Response:
    """Start a search. It runs on as long as it takes: poll `Location`, or listen to its events."""
    checked = check_search(body, stores.datasets)
    config, space = checked.config, checked.space
    if validate_only:
        plan = PlanView(
            dataset=config.dataset,
            flops_budget=config.flops_budget,
            search_space=space.name,
            resolution=space.resolution,
            num_classes=space.num_classes,
            feasible_range=MacsRange.of(space),
        )
        return Response(plan.model_dump_json(), media_type="application/json")
    search, created = _create(stores, checked, idempotency_key)
    if created:
        request.app.state.notifier.notify()
    response = _answer(stores, search, status=202)
    response.headers["Location"] = f"/searches/{search.id}"
    return response


@router.get("", responses=describe(problems.INVALID_REQUEST))
def list_searches(
    stores: StoresDep,
    state: SearchState | None = None,
    dataset: Name | None = None,
    created_after: Moment | None = None,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = 50,
    page_token: Annotated[str | None, Query(max_length=1000)] = None,
) -> SearchList:
    """The searches that match, newest first."""
    wanted = SearchFilter(state=state, dataset=dataset, created_after=created_after)
    return SearchList.of(stores.searches.list(wanted, page_size=page_size, page_token=page_token))


@router.get(
    "/{search_id}",
    response_model=SearchView,
    responses={
        200: {"headers": headers("ETag")},
        304: {"description": "Not changed", "headers": headers("ETag")},
        **describe(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
def get_search(search_id: SearchId, stores: StoresDep, if_none_match: IfNoneMatch = None) -> Response:
    """A search as it is now. `Retry-After` says when to look again, until it is final."""
    response = _answer(stores, stores.searches.get(search_id))
    if if_none_match is not None and matches(response.headers["ETag"], if_none_match):
        kept = {name: response.headers[name] for name in ("ETag", "Retry-After") if name in response.headers}
        return Response(status_code=304, headers=kept)
    return response


_ASKED: dict[str, Any] = {
    "status_code": 202,
    "response_model": SearchView,
    "responses": {
        202: {"headers": headers("ETag")},
        **describe(problems.NOT_FOUND, problems.STATE_CONFLICT, problems.PRECONDITION_FAILED, problems.INVALID_REQUEST),
    },
}


@router.post("/{search_id}/cancel", **_ASKED)
def cancel_search(search_id: SearchId, stores: StoresDep, if_match: IfMatch = None) -> Response:
    """Ask a search to stop. It keeps the best architecture it found, with a checkpoint of it; repeating is harmless."""
    _require_current(stores, search_id, if_match)
    return _answer(stores, stores.control.cancel(search_id), status=202)


@router.post("/{search_id}/pause", **_ASKED)
def pause_search(search_id: SearchId, stores: StoresDep, if_match: IfMatch = None) -> Response:
    """Ask a search to save and free its worker until it is resumed. It keeps the best architecture it found so far."""
    _require_current(stores, search_id, if_match)
    return _answer(stores, stores.control.pause(search_id), status=202)


@router.post("/{search_id}/resume", **_ASKED)
def resume_search(request: Request, search_id: SearchId, stores: StoresDep, if_match: IfMatch = None) -> Response:
    """Let a paused, failed or cancelled search go on from its last run state."""
    _require_current(stores, search_id, if_match)
    search = stores.control.resume(search_id)
    if search.state == SearchState.QUEUED:
        request.app.state.notifier.notify()
    return _answer(stores, search, status=202)


@router.delete(
    "/{search_id}",
    status_code=204,
    responses=describe(
        problems.NOT_FOUND, problems.STATE_CONFLICT, problems.PRECONDITION_FAILED, problems.INVALID_REQUEST
    ),
)
def delete_search(search_id: SearchId, stores: StoresDep, if_match: IfMatch = None) -> None:
    """Delete a final search and all its files."""
    _require_current(stores, search_id, if_match)
    stores.searches.delete(search_id)
    # The rows went first: a crash here leaves files that nothing names, never a name without its file.
    stores.artifacts.delete_folder(search_id)
    shutil.rmtree(stores.settings.searches_dir / search_id, ignore_errors=True)


def _create(stores: Stores, checked: CheckedSearch, idempotency_key: str | None) -> tuple[Search, bool]:
    """The search, and whether it is new. Raises ProblemError if its data set is gone since it was checked."""
    body_sha256 = _fingerprint(checked.config)
    while True:
        try:
            return stores.searches.create(
                checked.config, checked.dataset, idempotency_key=idempotency_key, body_sha256=body_sha256
            )
        except DatasetChanged:
            checked = check_search(checked.config, stores.datasets)


def _view(stores: Stores, search: Search) -> SearchView:
    best, downloadable = None, False
    if search.best_arch_id is not None:
        best = stores.architectures.get(search.best_arch_id, search_id=search.id)
        downloadable = stores.architectures.artifact(best.arch_id, "safetensors", search_id=search.id) is not None
    return SearchView.of(search, stores.searches.attempts(search.id), best, downloadable)


def _answer(stores: Stores, search: Search, status: int = 200) -> Response:
    content = _view(stores, search).model_dump_json().encode()
    headers = {"ETag": make_etag(content)} | ({} if search.state.final else {"Retry-After": str(POLL_S)})
    return Response(content, status, headers, media_type="application/json")


def _require_current(stores: Stores, search_id: str, if_match: str | None) -> None:
    if if_match is not None:
        require_match(_answer(stores, stores.searches.get(search_id)).headers["ETag"], if_match)


def _fingerprint(config: SearchConfig) -> str:
    """Of what was asked, not of how it was written: spaces and the order of fields do not matter."""
    return hashlib.sha256(json.dumps(config.to_json(), sort_keys=True).encode()).hexdigest()
