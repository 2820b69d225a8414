"""Searches: start, list, get, label, cancel, pause, resume, delete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
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
)
from api.idempotency import RouteWithFirstAnswers
from api.openapi_responses import header_schemas, problem_responses
from api.quota_problems import COMPUTE_SPENT, QUOTA_EXCEEDED, QUOTA_FORBIDS, RATE_LIMITED
from api.schemas.base import MacsRange
from api.schemas.control import ResumeBody, SearchChangeBody
from api.schemas.plan import ComputeEstimateView, PlanView
from api.schemas.problems import FieldProblem
from api.schemas.searches import SearchList, SearchView
from api.search_responses import SearchResponses
from api.search_tags import versions_in
from api.search_validation import SearchBody, ValidSearch, validate_search
from autonl_core.spec.auto_start import feasible_for_auto
from autonl_core.spec.config import AUTO_INIT, SearchConfig
from autonl_core.spec.feasibility import feasible_macs, resolutions_of
from autonl_core.spec.labels import MAX_LABELS, LabelText, read_label
from autonl_core.spec.name_field import Name
from store.errors import DatasetChanged, SearchChanged, StartChanged, TooManyLabels
from store.models import Search
from store.page_tokens import MAX_PAGE_SIZE
from store.search_files import delete_search_files
from store.search_lists import SearchFilter
from store.states import SearchState
from store.stores import Stores

T = TypeVar("T")


LabelFilters = Annotated[
    list[LabelText] | None,
    Query(max_length=MAX_LABELS, description="as key:value; several: those that have all of them"),
]

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
        QUOTA_EXCEEDED,
        QUOTA_FORBIDS,
        RATE_LIMITED,
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
    search, is_new = _create(stores, valid, idempotency_key, body.labels)
    if is_new:
        request.app.state.notifier.notify(resource_class=search.resource_class)
    response = _responses(request, stores).show(search.id, status=202)
    response.headers["Location"] = f"/searches/{search.id}"
    return response


@router.get("", responses=problem_responses(problems.INVALID_REQUEST))
def list_searches(
    stores: ReadStores,
    state: SearchState | None = None,
    dataset: Name | None = None,
    created_after: Timestamp | None = None,
    label: LabelFilters = None,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = 50,
    page_token: Annotated[str | None, Query(max_length=1000)] = None,
) -> SearchList:
    """The searches that match, newest first."""
    labels = tuple(dict.fromkeys(read_label(one) for one in label or ()))
    search_filter = SearchFilter(state=state, dataset=dataset, created_after=created_after, labels=labels)
    page = stores.searches.list(search_filter, page_size=page_size, page_token=page_token)
    best, places = stores.architectures.best_of(page.searches), stores.queue.recent_places(_queued(page.searches))
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
def get_search(
    request: Request, search_id: SearchId, stores: ReadStores, if_none_match: IfNoneMatch = None
) -> Response:
    """The current state of a search. Until it is final, `Retry-After` says when to poll again."""
    return _responses(request, stores).get(search_id, if_none_match)


@router.patch(
    "/{search_id}",
    response_model=SearchView,
    responses={
        200: {"headers": header_schemas("ETag")},
        **problem_responses(problems.NOT_FOUND, problems.PRECONDITION_FAILED, problems.INVALID_REQUEST),
        **problem_responses(problems.MALFORMED_REQUEST, problems.PAYLOAD_TOO_LARGE),
    },
)
def change_search(
    request: Request, search_id: SearchId, body: SearchChangeBody, stores: SubmitStores, if_match: IfMatch = None
) -> Response:
    """Change the labels of a search, in whatever state it is; nothing else of a search can be changed."""
    responses = _responses(request, stores)
    try:
        _if_current(responses, search_id, if_match, lambda seen: stores.labels.change(search_id, body.labels, seen))
    except TooManyLabels as error:
        field = FieldProblem(pointer="/labels", code="too_many_labels", detail=str(error))
        raise problems.invalid_fields([field]) from error
    return responses.show(search_id)


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


_RESUME = {
    **_CONTROL,
    "responses": {
        **_CONTROL["responses"],
        **problem_responses(problems.STATE_CONFLICT, COMPUTE_SPENT),
        **problem_responses(QUOTA_EXCEEDED, RATE_LIMITED, QUOTA_FORBIDS),
        **problem_responses(problems.MALFORMED_REQUEST, problems.PAYLOAD_TOO_LARGE),
    },
}


@router.post("/{search_id}/cancel", **_CONTROL)
def cancel_search(request: Request, search_id: SearchId, stores: SubmitStores, if_match: IfMatch = None) -> Response:
    """Ask a search to stop. It keeps the best architecture it found, with a checkpoint. Idempotent."""
    responses = _responses(request, stores)
    _if_current(responses, search_id, if_match, lambda versions: stores.control.cancel(search_id, versions))
    return responses.show(search_id, status=202)


@router.post("/{search_id}/pause", **_CONTROL)
def pause_search(request: Request, search_id: SearchId, stores: SubmitStores, if_match: IfMatch = None) -> Response:
    """Ask a search to save its state and free its worker until it is resumed. It keeps its best architecture so far."""
    responses = _responses(request, stores)
    _if_current(responses, search_id, if_match, lambda versions: stores.control.pause(search_id, versions))
    return responses.show(search_id, status=202)


@router.post("/{search_id}/resume", **_RESUME)
def resume_search(
    request: Request,
    search_id: SearchId,
    stores: SubmitStores,
    body: ResumeBody | None = None,
    if_match: IfMatch = None,
) -> Response:
    """Continue a paused, failed or cancelled search from its last run state, if need be with more compute."""
    more_s = body.max_compute_s if body is not None else None
    responses = _responses(request, stores)
    search = _if_current(
        responses, search_id, if_match, lambda versions: stores.control.resume(search_id, versions, more_s)
    )
    if search.state == SearchState.QUEUED:
        request.app.state.notifier.notify(resource_class=search.resource_class)
    return responses.show(search_id, status=202)


@router.delete(
    "/{search_id}",
    status_code=204,
    responses=problem_responses(
        problems.NOT_FOUND, problems.STATE_CONFLICT, problems.PRECONDITION_FAILED, problems.INVALID_REQUEST
    ),
)
def delete_search(request: Request, search_id: SearchId, stores: SubmitStores, if_match: IfMatch = None) -> None:
    """Delete a final search and all its files."""
    responses = _responses(request, stores)
    _if_current(responses, search_id, if_match, lambda versions: stores.searches.delete(search_id, versions))
    # Rows are deleted first: a crash here leaves files without a row, never a row without its file.
    delete_search_files(stores, search_id)


def _plan(valid: ValidSearch, stores: Stores) -> PlanView:
    feasible = None
    if valid.asked.init == AUTO_INIT and valid.config.parent is None:
        feasible = feasible_for_auto(valid.asked, valid.dataset, stores.weight_sets.ready())
    if feasible is None:
        feasible = feasible_macs(valid.config, valid.dataset, valid.space)
    estimate = stores.compute_estimates.estimate(valid.config, valid.dataset)
    return PlanView(
        dataset=valid.config.dataset,
        flops_budget=valid.config.flops_budget,
        init=valid.config.init,
        search_space=valid.space.name,
        resolution=valid.space.resolution,
        resolutions=list(resolutions_of(valid.config, valid.dataset, valid.space)),
        num_classes=valid.space.num_classes,
        feasible_range=MacsRange.of(feasible),
        estimated_compute_s=None if isinstance(estimate, str) else ComputeEstimateView.model_validate(estimate),
        estimate_unknown=estimate if isinstance(estimate, str) else None,
    )


def _create(
    stores: Stores, valid: ValidSearch, idempotency_key: str | None, labels: Mapping[str, str]
) -> tuple[Search, bool]:
    """The search, and whether it is new. Raises ProblemError if what it needs was deleted after validation."""
    body_sha256 = _fingerprint(valid.config, labels)
    while True:
        try:
            return stores.searches.create(
                valid.config, valid.dataset, idempotency_key=idempotency_key, body_sha256=body_sha256, labels=labels
            )
        except (DatasetChanged, StartChanged):
            valid = validate_search(valid.config, stores)


def _responses(request: Request, stores: Stores) -> SearchResponses:
    return SearchResponses(stores, request.app.state.kept_bodies)


def _queued(searches: Sequence[Search]) -> list[str]:
    return [search.id for search in searches if search.state == SearchState.QUEUED]


def _if_current(
    responses: SearchResponses, search_id: str, if_match: str | None, write: Callable[[Collection[int] | None], T]
) -> T:
    """What `write` returns, which is given the versions that `If-Match` lists and compares them as it writes.

    Raises:
        ProblemError: `precondition-failed`, because the search has another version.
    """
    try:
        return write(versions_in(if_match) if if_match is not None else None)
    except SearchChanged:
        raise responses.changed(search_id) from None


def _fingerprint(config: SearchConfig, labels: Mapping[str, str]) -> str:
    """A hash of what is asked for, not of how it is written: whitespace and the order of fields do not matter."""
    asked = config.to_json() | ({"labels": dict(labels)} if labels else {})
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
