"""Two to five searches side by side."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from api import problems
from api.access import ReadStores
from api.dependencies import PlainText
from api.openapi_responses import problem_responses
from api.schemas.comparison import ComparisonView
from autonl_core.wording.counts import counted

LEAST_SEARCHES, MOST_SEARCHES = 2, 5

router = APIRouter(tags=["searches"])


def _few_and_different(search_ids: list[str]) -> list[str]:
    if not LEAST_SEARCHES <= len(search_ids) <= MOST_SEARCHES:
        given = counted(len(search_ids), "search")
        message = f"names {given}; name {LEAST_SEARCHES} to {MOST_SEARCHES}: search_id=A&search_id=B"
        raise PydanticCustomError("search_count", "{message}", {"message": message})
    twice = next((each for place, each in enumerate(search_ids) if each in search_ids[:place]), None)
    if twice is not None:
        raise PydanticCustomError("repeated_search", "{message}", {"message": f"names {twice} twice; name each once"})
    return search_ids


SearchIds = Annotated[
    list[PlainText],
    AfterValidator(_few_and_different),
    Query(
        alias="search_id",
        description=f"ids of the searches, {LEAST_SEARCHES} to {MOST_SEARCHES}: `search_id=A&search_id=B`",
        json_schema_extra={"minItems": LEAST_SEARCHES, "maxItems": MOST_SEARCHES, "uniqueItems": True},
    ),
]


@router.get("/comparison", responses=problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST))
def compare_searches(search_ids: SearchIds, stores: ReadStores) -> ComparisonView:
    """What differs between searches: their settings, their figures, their networks block by block.

    It says whether their accuracies may be compared, and how sure each difference is.
    """
    return ComparisonView.of(stores.searches.compared(search_ids))
