"""Search spaces and published networks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api import problems
from api.access import needs_any_key
from api.dear_routes import compute
from api.openapi_responses import problem_responses
from api.schemas.catalog import BaselineList, BaselineView, SpaceList, SpaceView
from autonl_core.spec.macs_text import Macs
from autonl_core.spec.scaling import describe_net
from autonl_core.spec.space_families import space_families
from autonl_core.spec.zoo import ZOO

router = APIRouter(tags=["catalog"], dependencies=[Depends(needs_any_key)])


@router.get("/search-spaces", responses=problem_responses(problems.INVALID_REQUEST))
async def list_search_spaces(
    request: Request,
    resolution: Annotated[
        int | None, Query(ge=1, le=512, description="pixels; adds the MACs range that is feasible there")
    ] = None,
    num_classes: Annotated[int, Query(ge=2, le=100_000)] = 10,
) -> SpaceList:
    """The search spaces, the resolutions they support, and the range of MACs they can reach."""

    def spaces() -> SpaceList:
        described = [SpaceView.from_family(family, resolution, num_classes) for family in space_families()]
        return SpaceList(search_spaces=described)

    return await compute(request, spaces)


@router.get("/baselines", responses=problem_responses(problems.INVALID_REQUEST))
async def list_baselines(
    request: Request,
    resolution: Annotated[int, Query(ge=4, le=512, description="pixels")] = 224,
    num_classes: Annotated[int, Query(ge=2, le=100_000)] = 1000,
    flops_budget: Annotated[
        Macs | None,
        Query(description='scale the width of every network to these MACs: an integer, or text such as "300M"'),
    ] = None,
) -> BaselineList:
    """Published mobile networks to compare results with, as published or scaled to a budget."""

    def baselines() -> BaselineList:
        described = (describe_net(net, resolution, num_classes, flops_budget) for net in ZOO.values())
        return BaselineList(baselines=[BaselineView.model_validate(net) for net in described])

    return await compute(request, baselines)
