"""Everything that can be known about a search before it is accepted, and all that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import ErrorDetails

from api import problems
from api.error_handlers import NOT_SENT_AS_JSON, field_problems
from api.problems import FieldProblem, ProblemError
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import BudgetError, SpaceError
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.feasibility import resolve_space, scale_baseline
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.space_families import SPACES
from store.datasets import DatasetStore
from store.errors import NotFound
from store.states import DatasetState

_DECIDING = ("dataset", "flops_budget", "search_space", "resolution")  # what `resolve_space` depends on


@dataclass(frozen=True)
class Rejected:
    """A body that is no SearchConfig, kept so that its other problems can be told together with these."""

    body: Any
    errors: Sequence[ErrorDetails]


def _keep_errors(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        return Rejected(value, error.errors(include_url=False, include_context=False, include_input=False))


# In a route and in OpenAPI a SearchConfig; in fact possibly `Rejected`. Give it to `check_search`.
SearchBody = Annotated[SearchConfig, WrapValidator(_keep_errors)]


@dataclass(frozen=True)
class CheckedSearch:
    """A search that can be accepted."""

    config: SearchConfig
    dataset: DatasetSpec
    space: SearchSpace


def check_search(body: SearchConfig | Rejected, datasets: DatasetStore) -> CheckedSearch:
    """The search that `body` asks for.

    Raises:
        ProblemError: `budget-infeasible` if that is all that is wrong, else `invalid-request`; both list every field.
    """
    if isinstance(body, Rejected):
        if isinstance(body.body, bytes):  # left unread because of its media type
            raise ProblemError(problems.MALFORMED_REQUEST, NOT_SENT_AS_JSON)
        found = field_problems(body.errors, source="body")
        more, feasible = _problems_of_valid_part(body, datasets)
        raise problems.invalid([*found, *more], **feasible)
    listed, feasible, checked = _resolve(body, datasets)
    if checked is None:
        only_budget = bool(feasible)
        kind = problems.BUDGET_INFEASIBLE if only_budget else problems.INVALID_REQUEST
        error = problems.invalid(listed, kind, **feasible)
        if only_budget:
            error.detail = listed[0].detail
        raise error
    return checked


def _problems_of_valid_part(body: Rejected, datasets: DatasetStore) -> tuple[list[FieldProblem], dict[str, Any]]:
    """What else is wrong with a body of which some fields are already refused."""
    if not isinstance(body.body, dict) or not all(error["loc"] for error in body.errors):
        return [], {}
    refused = {error["loc"][0] for error in body.errors}
    deciding = {
        name: body.body[name] for name in (*_DECIDING, "baselines") if name in body.body and name not in refused
    }
    if refused.isdisjoint(_DECIDING):
        listed, feasible, _ = _resolve(SearchConfig.model_validate(deciding), datasets)
        return listed, feasible
    if "dataset" in deciding:
        return _find_dataset(deciding["dataset"], datasets)[0], {}
    return [], {}


def _resolve(
    config: SearchConfig, datasets: DatasetStore
) -> tuple[list[FieldProblem], dict[str, Any], CheckedSearch | None]:
    listed, dataset = _find_dataset(config.dataset, datasets)
    if dataset is None:
        return listed, {}, None
    try:
        space = resolve_space(config, dataset)
    except SpaceError as error:
        unknown = config.search_space is not None and config.search_space not in SPACES.names()
        pointer, code = ("/search_space", "unknown_space") if unknown else ("/resolution", "not_served")
        return [FieldProblem(pointer=pointer, code=code, detail=str(error))], {}, None
    except BudgetError as error:
        low, high = error.feasible_macs
        wrong = FieldProblem(pointer="/flops_budget", code="infeasible", detail=str(error))
        return [wrong], {"feasible_range": {"min_macs": low, "max_macs": high}}, None
    listed = _problems_of_baselines(config, space)
    return listed, {}, None if listed else CheckedSearch(config, dataset, space)


def _problems_of_baselines(config: SearchConfig, space: SearchSpace) -> list[FieldProblem]:
    """Networks that no width multiplier brings to the budget."""
    listed = []
    for index, name in enumerate(config.baselines):
        try:
            scale_baseline(name, space, config.flops_budget)
        except BudgetError as error:
            listed.append(FieldProblem(pointer=f"/baselines/{index}", code="not_scalable", detail=str(error)))
    return listed


def _find_dataset(name: str, datasets: DatasetStore) -> tuple[list[FieldProblem], DatasetSpec | None]:
    try:
        entry = datasets.get(name)
    except NotFound as error:
        return [FieldProblem(pointer="/dataset", code="unknown_dataset", detail=str(error))], None
    if entry.state != DatasetState.READY:
        way_out = {
            DatasetState.CHECKING: f"wait until GET /datasets/{name} says that it is ready",
            DatasetState.INVALID: f"GET /datasets/{name} reports what is wrong with it",
        }
        told = f"data set {name!r} is {entry.state}: {way_out[entry.state]}"
        return [FieldProblem(pointer="/dataset", code="dataset_not_ready", detail=told)], None
    return [], entry.spec
