"""Requests generated from the OpenAPI description, the same in every run, with every response validated against it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.engine import events, from_schema
from schemathesis.hooks import unregister
from schemathesis.openapi.checks import RejectedPositiveData

from store.json_values import plain_text
from tests.fuzz.configuration import configuration
from tests.fuzz.seeded_service import Stock

# Refusals of well-formed requests that no schema can express: they depend on stored data, on the operator's settings,
# or on combinations of fields. Every other refusal of a request that fits the description is a defect.
_SEMANTIC_PROBLEMS = {
    "budget-infeasible",
    "cannot-roll-back",
    "correction-invalid",
    "dataset-invalid",
    "idempotency-key-reuse",
    "precondition-failed",
    "range-not-satisfiable",
    "too-many-aliases",
    "too-many-devices",
    "too-many-webhooks",
    "weights-invalid",
}
_SEMANTIC_FIELD_CODES = {
    "bad_normalisation",
    "bad_url",
    "dataset_not_ready",
    "device_unfit",
    "infeasible",
    "name_missing",
    "needs_device",
    "needs_latency",
    "needs_weights",
    "not_scalable",
    "not_served",
    "page_token",
    "parent_unfit",
    "path_not_allowed",
    "period",
    "repeated_search",
    "table_unfit",
    "too_many_labels",
    "unknown_dataset",
    "unknown_device",
    "unknown_space",
    "weights_unfit",
}


@dataclass
class Outcome:
    """The results of all requests."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: list[tuple[float, str]] = field(default_factory=list)
    checks: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)  # the first of each kind, with a request that shows it
    errors: list[str] = field(default_factory=list)  # of the fuzzer itself, or of the connection

    @property
    def requests(self) -> int:
        return sum(self.phases.values())

    def answers(self, operation: str) -> set[int]:
        """The statuses that an operation responded with."""
        return {status for label, status in self.statuses if label == operation}


def fuzz(base_url: str, stocked: Stock, *, max_examples: int, max_scenarios: int, key: str | None = None) -> Outcome:
    """Try every operation: the edge cases of each schema, random requests, then sequences of operations.

    Args:
        key: sent with every request that needs one, except by the checks of what happens without.
    """
    described = configuration(base_url, stocked, max_examples, max_scenarios)
    if key is not None:
        described["auth"] = {"openapi": {"key": {"bearer": key}}}
    config = schemathesis.Config.from_dict(described)
    schema = schemathesis.openapi.from_url(f"{base_url}/openapi.json", config=config)
    schema.hook(filter_failure)
    outcome = Outcome()
    with _hooks(outcome, key, stocked):
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                _note(outcome, event)
            elif isinstance(event, events.NonFatalError):
                outcome.errors.append(f"{event.label}: {event.info.format()}")
            elif isinstance(event, events.FatalError):
                outcome.errors.append(repr(event.exception))
    return outcome


def filter_failure(
    context: schemathesis.HookContext, failure: Failure, case: schemathesis.Case[Any], response: schemathesis.Response
) -> bool:
    """Whether a finding is a defect: not if a well-formed request was refused for its meaning."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    problem = response.json()
    if problem["type"].removeprefix("/problems/") in _SEMANTIC_PROBLEMS:
        return False
    errors = problem.get("errors", [])
    return not errors or not all(
        error["code"] in _SEMANTIC_FIELD_CODES or _is_contradiction(error) or _is_integral_float(error, case.body)
        for error in errors
    )


def _is_contradiction(error: dict[str, str]) -> bool:
    """Whether fields that are each as described do not go together, or a budget is there in two notations."""
    return error["code"] == "value_error" and error["pointer"] in ("", "/flops_budgets")


def _is_integral_float(error: dict[str, str], body: Any) -> bool:
    """Whether the value is like 48.0, an integer to JSON Schema; the service accepts only integers written as such."""
    if error["code"] != "int_type":
        return False
    for name in error["pointer"].split("/")[1:]:
        body = body[int(name)] if isinstance(body, list) else _field(body, name)
    return isinstance(body, float) and body.is_integer()


def _field(body: dict[str, Any], name: str) -> Any:
    """The value whose name a pointer shows as `name`: without what no text can hold, and cut where it is very long."""
    shown = {plain_text(key.replace("~", "~0").replace("/", "~1")): value for key, value in body.items()}
    if name in shown or not name.endswith("…"):
        return shown[name]
    return next(value for key, value in shown.items() if key.startswith(name[:-1]))


@contextmanager
def _hooks(outcome: Outcome, key: str | None, stocked: Stock) -> Iterator[None]:
    """Time every request as a client does: from the call until the last byte has arrived. None revokes its own key."""
    started: dict[str, float] = {}
    own_id = key and key.split("_")[1]

    def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
        # Only a stream from the beginning is sure to send an event soon; others may rightly stay silent for long.
        if case.path.endswith("/events") and (case.query or "last-event-id" in case.headers):
            case.headers["Accept"] = "application/json"
        # Requests find ids in earlier answers, and without their key all later ones would be refused.
        if case.method == "DELETE" and case.path_parameters.get("key_id", ...) == own_id:
            case.path_parameters["key_id"] = "another"
        is_as_described = case.meta is not None and case.meta.generation.mode.is_positive
        # Dictionaries have no lists, and no two ids that are made up belong to searches.
        if is_as_described and case.path == "/comparison":
            case.query["search_id"] = stocked.searches[: len(case.query["search_id"])]
        # Nor do names that are made up belong to images, and one that does not refuses the whole correction.
        if is_as_described and case.path.endswith("/corrections"):
            body: dict[str, Any] = dict(case.body)  # type: ignore[arg-type]  # valid, so an object
            case.body = body | {"leave_out": stocked.images[: len(body.get("leave_out", ()))], "relabel": {}}
        started[case.id] = time.perf_counter()

    def after_call(
        context: schemathesis.HookContext, case: schemathesis.Case[Any], response: schemathesis.Response
    ) -> None:
        outcome.seconds.append((time.perf_counter() - started.pop(case.id), case.operation.label))

    schemathesis.hook(before_call)
    schemathesis.hook(after_call)
    try:
        yield
    finally:
        unregister(before_call)
        unregister(after_call)


def _note(outcome: Outcome, event: events.ScenarioFinished) -> None:
    recorder = event.recorder
    for case_id, interaction in recorder.interactions.items():
        label = recorder.cases[case_id].value.operation.label
        outcome.phases[event.phase.value] += 1
        if interaction.response is None:
            outcome.errors.append(f"{label}: no answer to {interaction.request.method} {interaction.request.uri}")
        else:
            outcome.statuses[label, interaction.response.status_code] += 1
    for case_id, checks in recorder.checks.items():
        for check in checks:
            outcome.checks[check.name] += 1
            if check.failure_info is None:
                continue
            label = recorder.cases[case_id].value.operation.label
            shown = f"{check.failure_info.failure.message}\n{check.failure_info.code_sample}"
            outcome.failures.setdefault(f"{label}: {check.name}: {check.failure_info.failure.title}", shown)
