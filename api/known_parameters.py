"""Refuses query parameters that a route does not know: a misspelt filter would otherwise filter nothing."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api import problems
from api.access import caller_of, needs_of
from api.schemas.problems import FieldProblem
from store.json_values import plain_text

_MAX_SHOWN = 100  # characters of a name


async def require_known_parameters(request: Request) -> None:
    """Raises ProblemError `invalid-request` that lists every unknown and every repeated query parameter."""
    route = request.scope.get("route")
    if not request.scope["query_string"] or not isinstance(route, APIRoute):
        return
    known, repeatable = _parameters_of(route)
    counts = Counter(name for name, _ in request.query_params.multi_items())
    wrong = [_unknown(name, known) for name in counts if name not in known]
    wrong += [_repeated(name) for name, count in counts.items() if count > 1 and name in known - repeatable]
    if wrong:
        if (needed := needs_of(route.dependant)) is not None:  # who may not ask at all learns nothing else
            await needed(request, await caller_of(request))
        raise problems.invalid_fields(wrong)


def _parameters_of(route: APIRoute) -> tuple[frozenset[str], frozenset[str]]:
    """The names of the query parameters of a route, and of those that may be repeated."""
    fields = [field for dependant in _all(route.dependant) for field in dependant.query_params]
    lists = frozenset(field.alias for field in fields if "list" in str(field.field_info.annotation).lower())
    return frozenset(field.alias for field in fields), lists


def _all(dependant: Dependant) -> list[Dependant]:
    return [dependant, *(inner for one in dependant.dependencies for inner in _all(one))]


def _unknown(name: str, known: frozenset[str]) -> FieldProblem:
    shown = plain_text(name)[:_MAX_SHOWN]
    if not known:
        detail = "unknown parameter; this path has none"
    else:
        close = get_close_matches(shown, known, n=1)
        meant = f"; perhaps {close[0]!r}" if close else ""
        detail = f"unknown parameter{meant}; the known ones: {', '.join(sorted(known))}"
    return FieldProblem(source="query", pointer=shown, code="unknown_parameter", detail=detail)


def _repeated(name: str) -> FieldProblem:
    detail = "is given several times; give it once"
    return FieldProblem(source="query", pointer=name, code="repeated_parameter", detail=detail)
