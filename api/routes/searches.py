"""Searches: start, list, get, cancel, pause, resume, delete."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response

from api import problems
from api.access import ReadStores, SubmitStores
from api.dependencies import (
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    SearchId,
    Timestamp,
    make_etag,
    matches,
    require_match,
)
from api.idempotency import RouteWithFirstAnswers
from api.openapi_responses import header_schemas, problem_responses
from api.schemas.base import MacsRange
from api.schemas.plan import PlanView
from api.schemas.searches import SearchList, SearchView, SupernetView
from api.search_validation import SearchBody, ValidSearch, validate_search
from autonl_core.spec.auto_start import feasible_for_auto
from autonl_core.spec.config import AUTO_INIT, Name, SearchConfig
from autonl_core.spec.feasibility import feasible_macs, resolutions_of
from store.errors import DatasetChanged, SearchChanged, StartChanged
from store.models import Search
from store.searches import MAX_PAGE_SIZE, SearchFilter
from store.states import SearchState
from store.stores import Stores

POLL_S = 2  # how often to poll a search that is not final

T = TypeVar("T")

router = APIRouter(prefix="/searches", tags=["searches"], route_class=RouteWithFirstAnswers)

_START_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": PlanView, "description": "With `validate_only`: the search would be accepted. Nothing was created."},
    202: {"headers": header_schemas("Location", "ETag")},
    **problem_responses(
        problems.MALFORMED_REQUEST,
        problems.PAYLOAD_TOO_LARGE,
        problems.INVALID_REQUEST,
        problems.BUDGET_INFEASIBLE,
        problems.IDEMPOTENCY_KEY_REUSE,
    ),
}


@router.post("", status_code=202, response_model=SearchView, responses=_START_RESPONSES)
def start_search(
    body: SearchBody,
    request: Request,
    stores: SubmitStores,
    idempotency_key: IdempotencyKey = None,
    validate_only: Annotated[bool, Query(description="only validate, and return the feasible range")] = False,
) -> Response:
    """Start a search. It continues after the response: poll `Location`, or follow its events."""
    valid = validate_search(body, stores)
    if validate_only:
        return Response(_plan(valid, stores).model_dump_json(), media_type="application/json")
    search, is_new = _create(stores, valid, idempotency_key)
    if is_new:
        request.app.state.notifier.notify()
    response = _search_response(stores, search, status=202)
    response.headers["Location"] = f"/searches/{search.id}"
    return response


@router.get("", responses=problem_responses(problems.INVALID_REQUEST))
def list_searches(
    stores: ReadStores,
    state: SearchState | None = None,
    dataset: Name | None = None,
    created_after: Timestamp | None = None,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = 50,
    page_token: Annotated[str | None, Query(max_length=1000)] = None,
) -> SearchList:
    """The searches that match, newest first."""
    search_filter = SearchFilter(state=state, dataset=dataset, created_after=created_after)
    page = stores.searches.list(search_filter, page_size=page_size, page_token=page_token)
    best, places = stores.architectures.best_of(page.searches), stores.queue.places(_queued(page.searches))
    return SearchList.from_page(page, places, best)


@router.get(
    "/{search_id}",
    response_model=SearchView,
    responses={
        200: {"headers": header_schemas("ETag")},
        304: {"description": "Not modified", "headers": header_schemas("ETag")},
        **problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
def get_search(search_id: SearchId, stores: ReadStores, if_none_match: IfNoneMatch = None) -> Response:
    """The current state of a search. Until it is final, `Retry-After` says when to poll again."""
    response = _search_response(stores, stores.searches.get(search_id))
    if if_none_match is not None and matches(response.headers["ETag"], if_none_match):
        kept = {name: response.headers[name] for name in ("ETag", "Retry-After") if name in response.headers}
        return Response(status_code=304, headers=kept)
    return response


_CONTROL: dict[str, Any] = {
    "status_code": 202,
    "response_model": SearchView,
    "responses": {
        202: {"headers": header_schemas("ETag")},
        **problem_responses(
            problems.NOT_FOUND, problems.STATE_CONFLICT, problems.PRECONDITION_FAILED, problems.INVALID_REQUEST
        ),
    },
}


@router.post("/{search_id}/cancel", **_CONTROL)
def cancel_search(search_id: SearchId, stores: SubmitStores, if_match: IfMatch = None) -> Response:
    """Ask a search to stop. It keeps the best architecture it found, with a checkpoint. Idempotent."""
    search = _if_current(stores, search_id, if_match, lambda seen: stores.control.cancel(search_id, seen))
    return _search_response(stores, search, status=202)


@router.post("/{search_id}/pause", **_CONTROL)
def pause_search(search_id: SearchId, stores: SubmitStores, if_match: IfMatch = None) -> Response:
    """Ask a search to save its state and free its worker until it is resumed. It keeps its best architecture so far."""
    search = _if_current(stores, search_id, if_match, lambda seen: stores.control.pause(search_id, seen))
    return _search_response(stores, search, status=202)


@router.post("/{search_id}/resume", **_CONTROL)
def resume_search(request: Request, search_id: SearchId, stores: SubmitStores, if_match: IfMatch = None) -> Response:
    """Continue a paused, failed or cancelled search from its last run state."""
    search = _if_current(stores, search_id, if_match, lambda seen: stores.control.resume(search_id, seen))
    if search.state == SearchState.QUEUED:
        request.app.state.notifier.notify()
    return _search_response(stores, search, status=202)


@router.delete(
    "/{search_id}",
    status_code=204,
    responses=problem_responses(
        problems.NOT_FOUND, problems.STATE_CONFLICT, problems.PRECONDITION_FAILED, problems.INVALID_REQUEST
    ),
)
def delete_search(search_id: SearchId, stores: SubmitStores, if_match: IfMatch = None) -> None:
    """Delete a final search and all its files."""
    _if_current(stores, search_id, if_match, lambda seen: stores.searches.delete(search_id, seen))
    # Rows are deleted first: a crash here leaves files without a row, never a row without its file.
    stores.artifacts.delete_folder(search_id)
    shutil.rmtree(stores.settings.searches_dir / search_id, ignore_errors=True)


def _plan(valid: ValidSearch, stores: Stores) -> PlanView:
    feasible = None
    if valid.asked.init == AUTO_INIT and valid.config.parent is None:
        feasible = feasible_for_auto(valid.asked, valid.dataset, stores.weight_sets.ready())
    if feasible is None:
        feasible = feasible_macs(valid.config, valid.dataset, valid.space)
    return PlanView(
        dataset=valid.config.dataset,
        flops_budget=valid.config.flops_budget,
        init=valid.config.init,
        search_space=valid.space.name,
        resolution=valid.space.resolution,
        resolutions=list(resolutions_of(valid.config, valid.dataset, valid.space)),
        num_classes=valid.space.num_classes,
        feasible_range=MacsRange.of(feasible),
    )


def _create(stores: Stores, valid: ValidSearch, idempotency_key: str | None) -> tuple[Search, bool]:
    """The search, and whether it is new. Raises ProblemError if what it needs was deleted after validation."""
    body_sha256 = _fingerprint(valid.config)
    while True:
        try:
            return stores.searches.create(
                valid.config, valid.dataset, idempotency_key=idempotency_key, body_sha256=body_sha256
            )
        except (DatasetChanged, StartChanged):
            valid = validate_search(valid.config, stores)


def _view(stores: Stores, search: Search) -> SearchView:
    best, is_downloadable = None, False
    if search.best_arch_id is not None:
        best = stores.architectures.get(search.best_arch_id, search_id=search.id)
        is_downloadable = stores.architectures.artifact(best.arch_id, "safetensors", search_id=search.id) is not None
    kept = stores.supernets.get(search.id)
    supernet = (
        SupernetView(size_bytes=kept.size_bytes, kept_until=stores.supernets.kept_until(search)) if kept else None
    )
    attempts, of_all_budgets = stores.searches.attempts(search.id), stores.searches.of_all_budgets(search)
    place = stores.queue.places(_queued([search])).get(search.id)
    return SearchView.from_row(search, attempts, best, is_downloadable, supernet, of_all_budgets, place)


def _queued(searches: Sequence[Search]) -> list[str]:
    return [search.id for search in searches if search.state == SearchState.QUEUED]


def _search_response(stores: Stores, search: Search, status: int = 200) -> Response:
    content = _view(stores, search).model_dump_json().encode()
    headers = {"ETag": make_etag(content)} | ({} if search.state.final else {"Retry-After": str(POLL_S)})
    return Response(content, status, headers, media_type="application/json")


def _if_current(stores: Stores, search_id: str, if_match: str | None, write: Callable[[Search | None], T]) -> T:
    """What `write` returns; with If-Match, it is given the row whose version matches, and writes only to that.

    Raises:
        ProblemError: `precondition-failed`, because the version is another one, if only since a moment ago.
    """
    while if_match is not None:
        seen = stores.searches.get(search_id)
        require_match(_search_response(stores, seen).headers["ETag"], if_match)
        try:
            return write(seen)
        except SearchChanged:  # between the two: is it still one that matches?
            continue
    return write(None)


def _fingerprint(config: SearchConfig) -> str:
    """A hash of what is asked for, not of how it is written: whitespace and the order of fields do not matter."""
    return hashlib.sha256(json.dumps(config.to_json(), sort_keys=True).encode()).hexdigest()
