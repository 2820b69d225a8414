"""Requests generated from the OpenAPI description, the same in every run, with every response validated against it."""

from __future__ import annotations

import hashlib
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

from api.problems import TYPES
from tests.api.http_service import CONTENT
from tests.fuzz.seeded_service import Stock

STREAM_S = 1.0  # how long a stream of events is listened to at most
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
    "too-many-webhooks",
    "weights-invalid",
}
_SEMANTIC_FIELD_CODES = {
    "bad_normalisation",
    "bad_url",
    "dataset_not_ready",
    "infeasible",
    "name_missing",
    "needs_weights",
    "not_scalable",
    "not_served",
    "page_token",
    "parent_unfit",
    "path_not_allowed",
    "period",
    "too_many_labels",
    "unknown_dataset",
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
    described = _config(base_url, stocked, max_examples, max_scenarios)
    if key is not None:
        described["auth"] = {"openapi": {"key": {"bearer": key}}}
    config = schemathesis.Config.from_dict(described)
    schema = schemathesis.openapi.from_url(f"{base_url}/openapi.json", config=config)
    schema.hook(filter_failure)
    outcome = Outcome()
    with _timing(outcome):
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
        body = body[int(name)] if isinstance(body, list) else body[name]
    return isinstance(body, float) and body.is_integer()


def _config(base_url: str, stocked: Stock, max_examples: int, max_scenarios: int) -> dict[str, Any]:
    """Every check, every phase, valid and invalid data; half of the ids are real."""
    generation = {"mode": "all", "deterministic": True, "no-shrink": True, "max-examples": max_examples}
    return {
        "seed": 1,
        "base-url": base_url,
        "request-timeout": 5 * STREAM_S,
        "max-stream-events": 1,
        "continue-on-failure": True,
        "warnings": False,
        "suppress-health-check": ["too_slow"],  # to generate data: of a busy machine, not of the service
        "generation": generation,
        "phases": {
            "coverage": {"generate-duplicate-query-parameters": True},
            "stateful": {"generation": generation | {"max-examples": max_scenarios}},
        },
        "checks": {"enabled": True, "max_response_time": 2},
        "dictionaries": {
            "searches": {"values": stocked.searches},
            "finished": {"values": stocked.finished},
            "kept": {"values": stocked.kept},
            "deleted": {"values": [*stocked.deleted, stocked.searches[0]]},  # which never ends: no worker runs it
            **{name: {"values": ids} for name, ids in stocked.controlled.items()},
            "architectures": {"values": [stocked.arch_id]},
            "datasets": {"values": stocked.datasets},
            "paths": {"values": stocked.dataset_paths},
            "keys": {"values": [stocked.key]},
            "key_ids": {"values": [stocked.key_id]},
            "budgets": {"values": [400_000, "400k", "0.35M"]},
            "tags": {"values": ["*", '"none", *']},
            "moments": {"values": ["2026-01-31T12:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]},
            "problems": {"values": list(TYPES)},
            "formats": {"values": ["safetensors"]},
            "kept_datasets": {"values": [stocked.kept_dataset]},
            "labels": {"values": [0, 1]},
            "weights": {"values": [*stocked.weights, "efficientnet-lite0"]},
            "webhooks": {"values": [stocked.webhook_id]},
            "deleted_webhooks": {"values": stocked.deleted_webhooks},
            "deliveries": {"values": [stocked.delivery_id]},
            "models": {"values": stocked.models},
            "aliases": {"values": stocked.aliases},
            "numbers": {"values": [3, 4, 5]},
            "urls": {"values": ["https://hooks.example/autonl", "https://8.8.8.8:8443/?a=b"]},
            "file_tags": {"values": [f'"{hashlib.sha256(CONTENT).hexdigest()}"', '"of-another-file"']},
            "ranges": {"values": ["bytes=0-99", "bytes=9-", "bytes=99999999-", "bytes=-0"]},
        },
        "parameters": {
            "path.search_id": _sometimes("searches"),
            "query.created_after": _sometimes("moments"),
            "query.search_id": _sometimes("finished"),
            "path.arch_id": _sometimes("architectures", 0.8),
            "body.dataset": _sometimes("datasets", 0.8),
            "body.flops_budget": _sometimes("budgets", 0.8),
            "body.path": _sometimes("paths"),
            "path.webhook_id": _sometimes("webhooks", 0.8),
            "path.delivery_id": _sometimes("deliveries", 0.8),
            "query.before": _sometimes("deliveries"),
            "path.model": _sometimes("models", 0.8),
            "path.alias": _sometimes("aliases", 0.8),
            "body.url": _sometimes("urls", 0.8),
            "header.Range": _sometimes("ranges", 0.8),
            "header.if-match": _sometimes("tags"),
            "header.if-none-match": _sometimes("tags"),
        },
        "operations": [
            {
                "include-method": "DELETE",
                "parameters": {"path.search_id": _sometimes("deleted"), "header.if-match": _sometimes("tags")},
            },
            *(
                {
                    "include-path": f"/searches/{{search_id}}/{name}",
                    "parameters": {"path.search_id": _sometimes(name, 0.8), "header.if-match": _sometimes("tags")},
                }
                for name in stocked.controlled
            ),
            {
                "include-path": "/webhooks/{webhook_id}",
                "include-method": "DELETE",
                "parameters": {"path.webhook_id": _sometimes("deleted_webhooks")},
            },
            {"include-path": "/datasets/{name}", "parameters": {"path.name": _sometimes("datasets")}},
            {"include-path": "/datasets/{name}/corrections", "parameters": {"path.name": _sometimes("kept_datasets")}},
            {
                "include-path": "/datasets/{name}/sheets/{label}",
                "parameters": {"path.name": _sometimes("kept_datasets", 0.8), "path.label": _sometimes("labels", 0.5)},
            },
            # Of these, some are never deleted and have a report.
            {
                "include-path": "/searches/{search_id}/report",
                "parameters": {
                    "path.search_id": _sometimes("finished", 0.8),
                    "header.if-none-match": _sometimes("tags"),
                },
            },
            {"include-path": "/weights/{name}", "parameters": {"path.name": _sometimes("weights", 0.8)}},
            {
                "include-path": "/models/{model}/aliases/{alias}",
                "parameters": {"body.search_id": _sometimes("kept", 0.8)},
            },
            {
                "include-path": "/models/{model}/aliases/{alias}/rollback",
                "parameters": {"body.number": _sometimes("numbers", 0.8)},
            },
            {
                "include-path": "/models/{model}/aliases/{alias}/checkpoint",
                "parameters": {
                    "query.format": _sometimes("formats", 0.8),
                    "header.Range": _sometimes("ranges", 0.8),
                    "header.if-range": _sometimes("file_tags", 0.8),
                    "header.if-none-match": _sometimes("tags"),
                },
            },
            {"include-path": "/keys/{key_id}", "parameters": {"path.key_id": _sometimes("key_ids", 0.8)}},
            {"include-path": "/session", "parameters": {"body.key": _sometimes("keys", 0.8)}},
            {"include-path": "/problems/{name}", "parameters": {"path.name": _sometimes("problems")}},
            # Five headers and parameters together decide what is sent of a file.
            {
                "include-path": "/architectures/{arch_id}/checkpoint",
                "parameters": {
                    "path.arch_id": _sometimes("architectures", 0.8),
                    "query.format": _sometimes("formats", 0.8),  # the only one that exists
                    "query.search_id": _sometimes("kept", 0.8),
                    "header.Range": _sometimes("ranges", 0.8),
                    "header.if-range": _sometimes("file_tags", 0.8),
                    "header.if-none-match": _sometimes("tags"),
                },
                "phases": {"fuzzing": {"generation": generation | {"max-examples": 3 * max_examples}}},
            },
        ],
    }


def _sometimes(dictionary: str, probability: float = 0.5) -> dict[str, Any]:
    return {"dictionary": dictionary, "probability": probability}


@contextmanager
def _timing(outcome: Outcome) -> Iterator[None]:
    """Time every request as a client does: from the call until the last byte has arrived."""
    started: dict[str, float] = {}

    def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
        # Only a stream from the beginning is sure to send an event soon; others may rightly stay silent for long.
        if case.path.endswith("/events") and (case.query or "last-event-id" in case.headers):
            case.headers["Accept"] = "application/json"
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
