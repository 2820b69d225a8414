"""The trade-off between MACs and accuracy, as a search measured it."""

from __future__ import annotations

from fastapi import APIRouter

from api import problems
from api.access import ReadStores
from api.dependencies import SearchId
from api.openapi_responses import problem_responses
from api.schemas.trade_off import TradeOffView

router = APIRouter(prefix="/searches", tags=["searches"])


@router.get("/{search_id}/trade-off", responses=problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST))
def get_trade_off(search_id: SearchId, stores: ReadStores) -> TradeOffView:
    """Every network that a search measured: MACs, parameters, memory and accuracy, and which are on the front."""
    search = stores.searches.get(search_id)
    return TradeOffView.of(stores.searches.of_all_budgets(search) or [search])
