"""Architectures that searches found."""

from __future__ import annotations

from fastapi import APIRouter

from api import problems
from api.dependencies import ArchId, OfSearch, SearchId, StoresDep
from api.problems import describe
from api.schemas.architectures import ArchitectureList, ArchitectureSummary, ArchitectureView

router = APIRouter(tags=["architectures"])
NOT_THERE = describe(problems.NOT_FOUND, problems.INVALID_REQUEST)


@router.get("/searches/{search_id}/architectures", responses=NOT_THERE)
def list_architectures(search_id: SearchId, stores: StoresDep) -> ArchitectureList:
    """The architectures that were the best of a search at some time, the newest first."""
    stores.searches.get(search_id)
    rows = stores.architectures.of_search(search_id)
    return ArchitectureList(architectures=[ArchitectureSummary.model_validate(row) for row in rows])


@router.get("/architectures/{arch_id}", responses=NOT_THERE)
def get_architecture(
    arch_id: ArchId,
    stores: StoresDep,
    search_id: OfSearch = None,
) -> ArchitectureView:
    """An architecture with every block and its cost. If several searches found it: a trained one, then the newest."""
    return ArchitectureView.of(stores.architectures.get(arch_id, search_id=search_id))
