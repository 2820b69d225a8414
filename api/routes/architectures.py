"""Architectures that searches found."""

from __future__ import annotations

from fastapi import APIRouter

from api import problems
from api.access import ReadStores
from api.dependencies import ArchId, SearchId, SearchIdQuery
from api.openapi_responses import problem_responses
from api.schemas.architecture_history import ArchitectureHistoryView
from api.schemas.architectures import ArchitectureList, ArchitectureSummary, ArchitectureView

router = APIRouter(tags=["architectures"])
_PROBLEMS = problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST)


@router.get("/searches/{search_id}/architectures", responses=_PROBLEMS)
def list_architectures(search_id: SearchId, stores: ReadStores) -> ArchitectureList:
    """Every architecture that was the best of a search at some point, newest first."""
    stores.searches.get(search_id)
    rows = stores.architectures.of_search(search_id)
    return ArchitectureList(architectures=[ArchitectureSummary.model_validate(row) for row in rows])


@router.get("/searches/{search_id}/architecture-history", responses=_PROBLEMS)
def get_architecture_history(search_id: SearchId, stores: ReadStores) -> ArchitectureHistoryView:
    """How gates, options and the network that would be derived changed over the epochs of a search.

    While it runs, an `architecture` event with an `epoch` says that there is one more.
    """
    return ArchitectureHistoryView.of(stores.searches.get(search_id), stores.architecture_history.of_search(search_id))


@router.get("/architectures/{arch_id}", responses=_PROBLEMS)
def get_architecture(
    arch_id: ArchId,
    stores: ReadStores,
    search_id: SearchIdQuery = None,
) -> ArchitectureView:
    """An architecture with every block and its cost.

    If several searches found it, a trained one is preferred, then the newest.
    """
    return ArchitectureView.from_row(stores.architectures.get(arch_id, search_id=search_id))
