"""Searches that differ only in the seed."""

from __future__ import annotations

from fastapi import APIRouter

from api import problems
from api.access import ReadStores
from api.dependencies import SearchId
from api.openapi_responses import problem_responses
from api.schemas.repeats import RepeatsView

router = APIRouter(prefix="/searches", tags=["searches"])


@router.get("/{search_id}/repeats", responses=problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST))
def get_repeats(search_id: SearchId, stores: ReadStores) -> RepeatsView:
    """The searches that one `repeat` started: how far their results spread, and how often each option won."""
    return RepeatsView.of(stores.searches.repeats(search_id))
