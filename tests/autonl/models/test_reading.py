"""The client's dataclasses have what the service sends, by its OpenAPI description."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from api.app import create_app
from autonl import UnexpectedResponse
from autonl.errors import FieldProblem
from autonl.models import comparisons, devices, inputs, results, searches, webhooks
from autonl.models.reading import read
from store.settings import Settings

VIEWS = {
    searches.Search: "SearchView",
    searches.SearchSummary: "SearchSummary",
    searches.Progress: "ProgressView",
    searches.QueuePlace: "QueueView",
    searches.Budget: "BudgetView",
    searches.Attempt: "AttemptView",
    searches.SearchError: "ErrorView",
    searches.KeptSupernet: "SupernetView",
    searches.Plan: "PlanView",
    searches.ComputeEstimate: "ComputeEstimateView",
    searches.MacsRange: "MacsRange",
    searches.Event: "EventView",
    results.ArchitectureSummary: "ArchitectureSummary",
    results.Result: "ResultView",
    results.File: "FileView",
    results.Parity: "ParityView",
    results.Certificate: "CertificateView",
    results.ConstraintCheck: "ConstraintCheckView",
    results.Baseline: "BaselineResultView",
    results.ClassResult: "ClassResultView",
    results.NotSure: "NotSureView",
    results.LatencyCheck: "LatencyCheckView",
    results.ProbabilityCalibration: "ProbabilityCalibrationView",
    comparisons.Comparison: "ComparisonView",
    comparisons.ComparedSearch: "ComparedSearchView",
    comparisons.DifferingSetting: "DifferingSettingView",
    comparisons.AccuracyDifference: "AccuracyDifferenceView",
    comparisons.ComparedLayer: "ComparedLayerView",
    comparisons.AlignedLayers: "AlignedLayersView",
    comparisons.Recall: "RecallView",
    comparisons.ComparedClass: "ComparedClassView",
    inputs.Dataset: "DatasetView",
    inputs.DatasetReport: "DatasetReportView",
    inputs.Finding: "DatasetProblemView",
    inputs.ClassCounts: "ClassCounts",
    inputs.Reading: "ReadingView",
    inputs.ReadingClass: "ReadingClass",
    inputs.Weights: "WeightSetView",
    inputs.WeightProblem: "WeightProblemView",
    devices.Device: "DeviceView",
    webhooks.Webhook: "WebhookView",
    webhooks.WebhookSecret: "WebhookSecretView",
    webhooks.Delivery: "DeliveryView",
    FieldProblem: "FieldProblem",
}
# What only the document has: too much detail for most programs.
LEFT_OUT = {
    "SearchView": {"macs_counting_rule"},
    "ComparisonView": {"macs_counting_rule"},
    "PlanView": {"macs_counting_rule", "valid"},
    "DatasetView": {"horizontal_flip", "grey_range"},
    "DatasetReportView": {"sizes", "formats", "duplicates", "pairs", "check_version"},
    "WeightSetView": {"normalisation", "architecture"},
    "DeviceView": {"table"},
}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    described: dict[str, Any] = create_app(settings).openapi()["components"]["schemas"]
    return described


@pytest.mark.parametrize("kind", VIEWS, ids=lambda kind: kind.__name__)
def test_a_class_has_the_fields_of_the_service_with_their_types(kind: type[Any], schemas: dict[str, Any]) -> None:
    view = VIEWS[kind]
    sent = {name: schema for name, schema in schemas[view]["properties"].items() if name not in LEFT_OUT.get(view, ())}
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name != "document"}
    assert list(hints) == list(sent)
    wrong = {name: hint for name, hint in hints.items() if name_of(hint) != sent_as(sent[name], schemas)}
    assert wrong == {}


def name_of(hint: Any) -> str:
    """The type of a field in the words of `sent_as`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (other,) = (argument for argument in arguments if argument is not type(None))
        return f"{name_of(other)} or null"
    if dataclasses.is_dataclass(hint):
        return VIEWS[hint]  # type: ignore[index]
    if origin is tuple:
        return f"array of {name_of(arguments[0])}"
    if origin is Mapping:
        return f"object of {name_of(arguments[1])}"
    return {str: "string", int: "integer", float: "number", bool: "boolean", datetime: "date-time", Any: "any"}[hint]


def sent_as(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """The type of a property: of objects without a class, only that they are objects."""
    if "anyOf" in schema:
        others = [one for one in schema["anyOf"] if one != {"type": "null"}]
        assert len(others) == 1
        return f"{sent_as(others[0], schemas)} or null"
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in VIEWS.values():
            return str(name)
        return "object of any" if schemas[name].get("type") == "object" else "string"  # enumerations
    if "type" not in schema:
        return "any"
    if schema["type"] == "array":
        return f"array of {sent_as(schema['items'], schemas)}"
    if schema["type"] == "object":
        values = schema.get("additionalProperties", True)
        known = isinstance(values, dict) and values.get("type") != "object"
        return f"object of {sent_as(values, schemas)}" if known else "object of any"
    return str(schema.get("format", schema["type"]) if schema["type"] == "string" else schema["type"])


EVENT = {"seq": 1, "kind": "created", "at": "2026-01-31T12:00:00Z", "attempt": 0, "detail": {}}


def test_fields_that_are_not_known_are_left_out_and_missing_ones_named() -> None:
    event = read(searches.Event, {**EVENT, "added_later": 1})
    assert (event.at, event.detail) == (datetime(2026, 1, 31, 12, tzinfo=UTC), {})
    for changed, place in (({"seq": "1"}, "Event.seq"), ({"detail": []}, "Event.detail"), ({"at": None}, "Event.at")):
        with pytest.raises(UnexpectedResponse, match=place):
            read(searches.Event, {**EVENT, **changed})
    with pytest.raises(UnexpectedResponse, match=r"nothing as Event\.kind"):
        read(searches.Event, {name: value for name, value in EVENT.items() if name != "kind"})


def test_what_an_earlier_service_does_not_send_is_none_or_empty() -> None:
    kept = {"name": "a", "state": "ready", "kind": "zip", "layout": "auto", "duplicates": "keep"}
    dataset = read(inputs.Dataset, kept)
    assert (dataset.report, dataset.findings, dataset.document) == (None, (), kept)


def test_nothing_that_was_read_can_be_changed() -> None:
    event = read(searches.Event, EVENT)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.seq = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        event.detail["a"] = 1  # type: ignore[index]
