"""Validates a search before it is accepted, and reports everything that is wrong with it in one response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import ErrorDetails

from api import problems
from api.error_handlers import SEND_AS_JSON, field_problems
from api.problems import ProblemError
from api.schemas.problems import FieldProblem
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import (
    BudgetError,
    ConstraintError,
    DeviceTableError,
    ParentError,
    SpaceError,
    WeightSetError,
)
from autonl_core.spec.config import AUTO_INIT, NO_INIT, PARENT_INIT, SearchConfig
from autonl_core.spec.config_sections import NO_CONSTRAINTS, Constraints
from autonl_core.spec.device_search import with_device_table
from autonl_core.spec.device_table import DeviceTable
from autonl_core.spec.export_extras import refusal, unavailable
from autonl_core.spec.feasibility import check_baseline, resolve_space
from autonl_core.spec.recipe import require_weights, settle
from autonl_core.spec.search_request import SearchRequest
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.space_families import require_space
from store.errors import NotFound
from store.states import DatasetState
from store.stores import Stores

_SPACE_FIELDS = (
    "dataset",
    "flops_budget",
    "flops_budgets",
    "constraints",
    "search_space",
    "resolution",
    "init",
    "parent",
    "algorithm",
)  # what `resolve_space` depends on


@dataclass(frozen=True)
class InvalidBody:
    """A body that is no SearchRequest, kept so that problems beyond its schema are reported together with these."""

    body: Any
    errors: Sequence[ErrorDetails]


def _keep_errors(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        return InvalidBody(value, _of_what_was_asked(value, errors))


def _of_what_was_asked(body: Any, errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without those of a `flops_budget` that was only taken from the first of `flops_budgets`, which has them too."""
    was_taken = isinstance(body, dict) and "flops_budget" not in body
    if not was_taken or all(error["loc"][:1] != ("flops_budgets",) for error in errors):
        return errors
    return [error for error in errors if error["loc"][:1] != ("flops_budget",)]


# In a route and in OpenAPI a SearchRequest; in fact possibly an `InvalidBody`. Pass it to `validate_search`.
SearchBody = Annotated[SearchRequest, WrapValidator(_keep_errors)]


@dataclass(frozen=True)
class ValidSearch:
    """A search that can be accepted: as it was asked for, and as it will be stored, with its start decided."""

    asked: SearchConfig
    config: SearchConfig
    dataset: DatasetSpec
    space: SearchSpace


@dataclass(frozen=True)
class _Refusal:
    """Why a search cannot be accepted. `feasible_macs` only if its budget is out of range."""

    errors: list[FieldProblem]
    feasible_macs: tuple[int, int] | None = None

    @property
    def members(self) -> dict[str, Any]:
        """Further members of the problem document."""
        if self.feasible_macs is None:
            return {}
        low, high = self.feasible_macs
        return {"feasible_range": {"min_macs": low, "max_macs": high}}


def validate_search(body: SearchConfig | InvalidBody, stores: Stores) -> ValidSearch:
    """The search that `body` asks for.

    Raises:
        ProblemError: `budget-infeasible` if nothing else is wrong, otherwise `invalid-request`; both list every field.
    """
    if isinstance(body, InvalidBody):
        raise _invalid_body_problem(body, stores)
    search = _resolve(body, stores)
    if isinstance(search, ValidSearch):
        return search
    if search.feasible_macs is None:
        raise problems.invalid_fields(search.errors)
    error = problems.invalid_fields(search.errors, problems.BUDGET_INFEASIBLE, **search.members)
    error.detail = search.errors[0].detail
    raise error


def _invalid_body_problem(body: InvalidBody, stores: Stores) -> ProblemError:
    if isinstance(body.body, bytes):  # not parsed, because of its media type
        return ProblemError(problems.MALFORMED_REQUEST, SEND_AS_JSON)
    refusal = _validate_valid_fields(body, stores)
    listed = field_problems(body.errors[: problems.MAX_LISTED], source="body")
    unlisted = len(body.errors) - len(listed)
    return problems.invalid_fields([*listed, *refusal.errors], unlisted=unlisted, **refusal.members)


def _validate_valid_fields(body: InvalidBody, stores: Stores) -> _Refusal:
    """What else is wrong with a body some of whose fields do not fit the schema."""
    if not isinstance(body.body, dict):
        return _Refusal([])
    invalid = {error["loc"][0] for error in body.errors if error["loc"]}
    fields = (*_SPACE_FIELDS, "baselines")
    valid = {name: body.body[name] for name in fields if name in body.body and name not in invalid}
    if invalid.isdisjoint(_SPACE_FIELDS) and all(error["loc"] for error in body.errors):
        try:
            search = _resolve(SearchRequest.model_validate(valid), stores)
        except ValidationError as error:  # valid fields that contradict each other
            found = error.errors(include_url=False, include_context=False, include_input=False)
            return _Refusal([*field_problems(found, source="body"), *_of_names(valid, stores).unknown])
        return search if isinstance(search, _Refusal) else _Refusal([])
    return _Refusal(_of_names(valid, stores).unknown)


@dataclass(frozen=True)
class _Named:
    """The dataset and the device table that a body names, as far as it does, and names of nothing that is ready."""

    dataset: DatasetSpec | None
    table: DeviceTable | None
    unknown: list[FieldProblem]


def _of_names(fields: Mapping[str, Any], stores: Stores) -> _Named:
    """What valid fields of a body name."""
    found = []
    dataset = _find_dataset(fields["dataset"], stores) if "dataset" in fields else None
    table = _find_table(Constraints.model_validate(fields.get("constraints", NO_CONSTRAINTS)), stores)
    if isinstance(dataset, FieldProblem):
        found.append(dataset)
        dataset = None
    if isinstance(table, FieldProblem):
        found.append(table)
        table = None
    space, init = fields.get("search_space"), fields.get("init", AUTO_INIT)
    try:
        if space is not None:
            require_space(space)
    except SpaceError as error:
        found.append(FieldProblem(pointer="/search_space", code="unknown_space", detail=str(error)))
    try:
        if init not in (AUTO_INIT, NO_INIT) and not init.startswith(PARENT_INIT):
            require_weights(init, stores.weight_sets.ready())
    except WeightSetError as error:
        found.append(FieldProblem(pointer="/init", code="weights_unfit", detail=str(error)))
    return _Named(dataset, table, found)


def _resolve(asked: SearchConfig, stores: Stores) -> ValidSearch | _Refusal:
    named = _of_names(dict(asked), stores)
    dataset = named.dataset
    if dataset is None or named.unknown:
        return _Refusal(named.unknown)
    try:
        asked = with_device_table(asked, dataset, named.table)
        config = settle(asked, dataset, stores.weight_sets.ready(), stores.supernets.parent)
        space = resolve_space(config, dataset)
        unfit = _validate_other_budgets(config, dataset)
        if unfit is not None:
            return unfit
    except DeviceTableError as error:
        return _Refusal([FieldProblem(pointer="/constraints/device", code="device_unfit", detail=str(error))])
    except ParentError as error:
        pointer = "/parent" if asked.parent is not None else "/init"
        return _Refusal([FieldProblem(pointer=pointer, code="parent_unfit", detail=str(error))])
    except WeightSetError as error:
        return _Refusal([FieldProblem(pointer="/init", code="weights_unfit", detail=str(error))])
    except SpaceError as error:
        return _Refusal([FieldProblem(pointer="/resolution", code="not_served", detail=str(error))])
    except BudgetError as error:
        pointer = "/flops_budgets/0" if asked.flops_budgets else "/flops_budget"
        return _Refusal([FieldProblem(pointer=pointer, code="infeasible", detail=str(error))], error.feasible_macs)
    except ConstraintError as error:
        return _Refusal([FieldProblem(pointer=f"/constraints/{error.name}", code="infeasible", detail=str(error))])
    listed = [*_validate_baselines(config, space), *_validate_formats(config, stores)]
    return _Refusal(listed) if listed else ValidSearch(asked, config, dataset, space)


def _validate_other_budgets(config: SearchConfig, dataset: DatasetSpec) -> _Refusal | None:
    """The other budgets that no network fits into, with the range in which one does, or no baseline; None: all fit."""
    fields: list[FieldProblem] = []
    feasible_macs: tuple[int, int] | None = None
    for index, budget_macs in enumerate(config.other_budgets, start=1):
        try:
            other = config.model_copy(update={"flops_budget": budget_macs})
            fields += _validate_baselines(other, resolve_space(other, dataset))
        except BudgetError as error:
            fields.append(FieldProblem(pointer=f"/flops_budgets/{index}", code="infeasible", detail=str(error)))
            feasible_macs = error.feasible_macs
        except ConstraintError as error:
            fields.append(FieldProblem(pointer=f"/constraints/{error.name}", code="infeasible", detail=str(error)))
    return _Refusal(fields, feasible_macs) if fields else None


def _validate_baselines(config: SearchConfig, space: SearchSpace) -> list[FieldProblem]:
    """The baselines that the search cannot be compared with."""
    listed = []
    for index, name in enumerate(config.baselines):
        try:
            check_baseline(name, config, space)
        except (BudgetError, WeightSetError) as error:
            code = "not_scalable" if isinstance(error, BudgetError) else "needs_weights"
            listed.append(FieldProblem(pointer=f"/baselines/{index}", code=code, detail=str(error)))
    return listed


def _validate_formats(config: SearchConfig, stores: Stores) -> list[FieldProblem]:
    """The formats that no worker can make."""
    missing = unavailable(config.export.formats, stores.settings.extras_of_workers)
    return [
        FieldProblem(
            pointer=f"/export/formats/{config.export.formats.index(name)}",
            code="extra_missing",
            detail=f"{refusal([name], extra)}. If only the API lacks it: AUTONL_EXPORT_EXTRAS={extra.name} there",
        )
        for name, extra in missing.items()
    ]


def _find_table(constraints: Constraints, stores: Stores) -> DeviceTable | FieldProblem | None:
    """The table of the device that the constraints limit latency on; None: they do not limit it."""
    if constraints.latency_ms is None:
        if (constraints.device or constraints.device_table_sha256) is None:
            return None
        detail = "is required with a device, as 3.0; or leave the device out"
        return FieldProblem(pointer="/constraints/latency_ms", code="needs_latency", detail=detail)
    if constraints.device is None:
        detail = (
            "is required with latency_ms: the name of a device, see GET /devices (`autonl search` measures its own)"
        )
        return FieldProblem(pointer="/constraints/device", code="needs_device", detail=detail)
    try:
        return stores.devices.get(constraints.device).table
    except NotFound as error:
        return FieldProblem(pointer="/constraints/device", code="unknown_device", detail=str(error))


def _find_dataset(name: str, stores: Stores) -> DatasetSpec | FieldProblem:
    try:
        entry = stores.datasets.get(name)
    except NotFound as error:
        return FieldProblem(pointer="/dataset", code="unknown_dataset", detail=str(error))
    if entry.state == DatasetState.READY:
        return entry.spec
    way_out = {
        DatasetState.CHECKING: f"wait until GET /datasets/{name} reports it as ready",
        DatasetState.INVALID: f"GET /datasets/{name} reports what is wrong with it",
    }
    detail = f"dataset {name!r} is {entry.state}: {way_out[entry.state]}"
    return FieldProblem(pointer="/dataset", code="dataset_not_ready", detail=detail)
