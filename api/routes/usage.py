"""What a tenant used by day, uses now, and may use."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request

from api import problems
from api.access import ReadStores
from api.dependencies import Day
from api.openapi_responses import problem_responses
from api.schemas.problems import FieldProblem
from api.schemas.usage import UsageView, UsedNowView

MAX_DAYS = 366

router = APIRouter(tags=["usage"])


@router.get("/usage", operation_id="get_usage", responses=problem_responses(problems.INVALID_REQUEST))
def get_usage(
    request: Request,
    stores: ReadStores,
    first: Annotated[Day | None, Query(alias="from", description="a day in UTC; default: 29 days before `to`")] = None,
    last: Annotated[Day | None, Query(alias="to", description="a day in UTC; default: today")] = None,
) -> UsageView:
    """Compute, searches and bytes by day, from `from` to `to`; what is in use now; and the limits of the tenant."""
    last = last or stores.usage.today()
    first = first or max(date.min + timedelta(29), last) - timedelta(29)
    if not timedelta(0) <= last - first < timedelta(MAX_DAYS):
        detail = f"must be a day from {last - min(timedelta(MAX_DAYS - 1), last - date.min)} to {last}"
        field = FieldProblem(source="query", pointer="from", code="period", detail=detail)
        raise problems.invalid_fields([field])
    streams = request.app.state.event_streams.count(stores.tenant_id)
    now = UsedNowView(**stores.quotas.now(), event_streams=streams)
    return UsageView.of(first, last, stores.usage.days(first, last), now, stores.quotas.limits())
