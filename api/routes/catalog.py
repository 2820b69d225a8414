"""What can be searched, and what the problem types mean."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from api import problems
from api.problems import ProblemError, describe
from api.schemas.catalog import BaselineList, BaselineView, SpaceList, SpaceView
from autonl_core.spec.config import Macs
from autonl_core.spec.scaling import describe_net
from autonl_core.spec.space_families import space_families
from autonl_core.spec.zoo import ZOO

router = APIRouter(tags=["catalog"])


@router.get("/search-spaces", responses=describe(problems.INVALID_REQUEST))
def list_search_spaces(
    resolution: Annotated[int | None, Query(ge=1, le=512, description="pixels; tells the feasible MACs there")] = None,
    num_classes: Annotated[int, Query(ge=2, le=100_000)] = 10,
) -> SpaceList:
    """The search spaces, the resolutions they serve, and which MACs they can reach."""
    return SpaceList(search_spaces=[SpaceView.of(family, resolution, num_classes) for family in space_families()])


@router.get("/baselines", responses=describe(problems.INVALID_REQUEST))
def list_baselines(
    resolution: Annotated[int, Query(ge=4, le=512, description="pixels")] = 224,
    num_classes: Annotated[int, Query(ge=2, le=100_000)] = 1000,
    flops_budget: Annotated[
        Macs | None, Query(description='scale every network to these MACs by its width: an integer or "300M"')
    ] = None,
) -> BaselineList:
    """Published mobile networks to compare results with, as they are or scaled to a budget."""
    described = (describe_net(net, resolution, num_classes, flops_budget) for net in ZOO.values())
    return BaselineList(baselines=[BaselineView.model_validate(net) for net in described])


@router.get("/problems/{name}", responses=describe(problems.NOT_FOUND, problems.INVALID_REQUEST))
def explain_problem(name: Annotated[str, Path(max_length=64)]) -> dict[str, Any]:
    """What a problem type means and what to do about it."""
    kind = problems.TYPES.get(name)
    if kind is None:
        raise ProblemError(
            problems.NOT_FOUND, f"there is no problem type of this name; there are: {', '.join(problems.TYPES)}"
        )
    return {"type": kind.uri, "title": kind.title, "status": kind.status, "advice": kind.advice}
