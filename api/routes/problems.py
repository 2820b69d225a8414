"""Explanations of the problem types."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from api import problems
from api.access import open_to_all
from api.openapi_responses import problem_responses
from api.problems import ProblemError

router = APIRouter(tags=["catalog"])


@router.get("/problems/{name}", responses=problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST))
@open_to_all
def explain_problem(name: Annotated[str, Path(max_length=64)]) -> dict[str, Any]:
    """What a problem type means and what to do about it."""
    kind = problems.TYPES.get(name)
    if kind is None:
        detail = f"no problem type of this name; known types: {', '.join(problems.TYPES)}"
        raise ProblemError(problems.NOT_FOUND, detail)
    return {"type": kind.uri, "title": kind.title, "status": kind.status, "advice": kind.advice}
