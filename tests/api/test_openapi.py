"""The OpenAPI description: complete, with every error declared and a valid example of each."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import ValidationError

from api.app import create_app
from api.problems import MEDIA_TYPE, TYPES
from api.schemas.problems import Problem
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.macs_text import MAX_MACS
from store.settings import Settings
from tests.api.http_service import SEARCH


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """It takes a second to make, and is the same for all services."""
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("data")))
    description: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return description


def test_it_is_served(client: httpx.Client, described: dict[str, Any]) -> None:
    assert client.get("/openapi.json").json() == described


def operations(described: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(f"{method} {path}", op) for path, ops in described["paths"].items() for method, op in ops.items()]


def test_every_error_response_is_a_problem_with_examples_of_its_status(described: dict[str, Any]) -> None:
    for name, operation in operations(described):
        for status, response in operation["responses"].items():
            if int(status) < 400:
                continue
            content = response["content"]
            assert list(content) == [MEDIA_TYPE], f"{name} {status}"
            assert content[MEDIA_TYPE]["examples"], f"{name} {status}"
            for kind, example in content[MEDIA_TYPE]["examples"].items():
                problem = Problem.model_validate(example["value"])
                assert (problem.status, problem.type) == (int(status), TYPES[kind].uri)


def test_operations_declare_the_errors_they_can_give(described: dict[str, Any]) -> None:
    for name, operation in operations(described):
        declared = set(operation["responses"])
        if "{" in name:
            assert "404" in declared, name
        if operation.get("parameters") or operation.get("requestBody"):
            assert "422" in declared, name
        if not name.startswith(("get /healthz", "get /problems", "get /search-spaces", "get /baselines")):
            assert "503" in declared, name
        if operation.get("requestBody"):
            assert {"400", "413", "422"} <= declared, name


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*(references(value) for value in node.values()))
        return set().union(*(references(item) for item in node)) if isinstance(node, list) else set()

    found = references(described)
    assert "#/components/schemas/SearchRequest" in found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in described["components"]["schemas"]


def test_every_request_to_a_search_declares_how_it_can_be_refused(described: dict[str, Any]) -> None:
    for request in ("cancel", "pause", "resume"):
        assert {"202", "404", "409", "412"} <= set(
            described["paths"][f"/searches/{{search_id}}/{request}"]["post"]["responses"]
        )


def test_a_parameter_that_may_be_left_out_is_not_said_to_be_null(described: dict[str, Any]) -> None:
    for name, operation in operations(described):
        for parameter in operation.get("parameters", []):
            assert {"type": "null"} not in parameter["schema"].get("anyOf", []), f"{name} {parameter['name']}"


def test_the_text_form_of_a_budget_is_described_as_it_is_read(described: dict[str, Any]) -> None:
    (budget,) = (p for p in described["paths"]["/baselines"]["get"]["parameters"] if p["name"] == "flops_budget")
    (text,) = (kind for kind in budget["schema"]["anyOf"] if kind["type"] == "string")
    pattern = re.compile(text["pattern"])
    for written in ("1", "400k", "0.3M", "4.50M", "1.000001M", "1000G", "999.999999999G", "1000000000000"):
        assert pattern.search(written), written
        assert 1 <= SearchConfig.model_validate({"dataset": "a", "flops_budget": written}).flops_budget <= MAX_MACS
    for written in ("0", "0M", "0.0k", "0.5", "1.0000001M", "1001G", "1000000000001", "300MB", "-1", "1e3", "٤k"):
        assert not pattern.search(written), written
        with pytest.raises(ValidationError):
            SearchConfig.model_validate({"dataset": "a", "flops_budget": written})


METHODS = {"get", "put", "post", "patch", "delete"}


def test_it_is_valid_openapi(described: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(described).validate()


def test_every_operation_has_a_short_id_of_its_own_a_summary_a_description_and_a_tag(described: dict[str, Any]) -> None:
    """The ids name the methods of generated clients, so they are part of the contract."""
    listed = operations(described)
    ids = [operation["operationId"] for _, operation in listed]
    assert len(set(ids)) == len(ids)
    for name, operation in listed:
        assert name.split()[0] in METHODS
        assert re.fullmatch(r"[a-z]+(_[a-z]+){1,3}", operation["operationId"]), name
        assert operation["summary"], name
        assert operation["description"], name
        assert len(operation["tags"]) == 1, name


def test_every_parameter_and_response_is_described(described: dict[str, Any]) -> None:
    for name, operation in operations(described):
        for parameter in operation.get("parameters", []):
            assert parameter["in"] != "query" or parameter["schema"], f"{name} {parameter['name']}"
        for status, response in operation["responses"].items():
            assert response["description"], f"{name} {status}"


def test_every_json_body_has_an_example_that_its_schema_allows(described: dict[str, Any]) -> None:
    """Recorded by `python -m tests.api.record_examples`, which writes them again once a schema has changed."""
    missing, wrong = [], []
    for name, operation in operations(described):
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for body, content in bodies.items():
            media = content.get("content", {}).get("application/json")
            if media is None:
                continue
            if "example" not in media:
                missing.append(f"{name} {body}")
                continue
            schema = {**media["schema"], "components": described["components"]}
            errors = OAS31Validator(schema).iter_errors(media["example"])
            wrong += [f"{name} {body} {error.json_path}: {error.message}" for error in errors]
    assert (missing, wrong) == ([], [])


def test_an_example_of_a_response_has_every_field(described: dict[str, Any]) -> None:
    searched = described["paths"]["/searches/{search_id}"]["get"]["responses"]["200"]["content"]["application/json"]
    assert set(searched["example"]) == set(described["components"]["schemas"]["SearchView"]["properties"])
    assert searched["example"]["result"]["architecture"]["macs"] <= searched["example"]["flops_budget"]


@pytest.mark.parametrize(
    ("budgets", "allowed"),
    [
        ({}, False),
        ({"flops_budget": "40M"}, True),
        ({"flops_budgets": ["40M", "80M"]}, True),
        ({"flops_budgets": []}, False),
        ({"flops_budget": 4, "flops_budgets": []}, True),
    ],
)
def test_a_search_needs_a_budget_in_one_of_two_fields(
    described: dict[str, Any], budgets: dict[str, Any], allowed: bool
) -> None:
    schema = {"$ref": "#/components/schemas/SearchRequest", "components": described["components"]}
    assert OAS31Validator(schema).is_valid({"dataset": "photos", **budgets}) == allowed


@pytest.mark.parametrize(
    ("method", "path", "asked", "field"),
    [
        ("GET", "/usage", {"params": {"to": "0"}}, "to"),
        ("GET", "/usage", {"params": {"to": "1700006400"}}, "to"),
        ("GET", "/usage", {"params": {"from": "2026-01-31T00:00:00"}}, "from"),
        ("GET", "/usage", {"params": {"from": "2026-02-30"}}, "from"),
        ("GET", "/searches", {"params": {"label": "team"}}, "label/0"),
        ("POST", "/keys", {"json": {"name": "laptop", "expires_in_days": "5"}}, "/expires_in_days"),
        ("POST", "/keys", {"json": {"name": "laptop", "expires_in_days": True}}, "/expires_in_days"),
        ("POST", "/searches", {"json": SEARCH | {"labels": {"Team": "x"}}}, "/labels/Team/[key]"),
        ("PATCH", "/searches/{search_id}", {"json": {"labels": {"Team": "x"}}}, "/labels/Team/[key]"),
        ("PATCH", "/searches/{search_id}", {"json": {"labels": {}}}, "/labels"),
        ("POST", "/weights", {"params": {"name": "auto"}, "content": b"?"}, "name"),
        ("POST", "/datasets", {"params": {"name": "a", "layout": "photos"}, "content": b"?"}, "layout"),
    ],
)
def test_what_the_description_excludes_is_refused(
    client: httpx.Client, described: dict[str, Any], method: str, path: str, asked: dict[str, Any], field: str
) -> None:
    answer = client.request(method, path, **asked)
    assert answer.status_code == 422, answer.text
    assert field in [error["pointer"] for error in answer.json()["errors"]]
    assert not is_allowed(described, described["paths"][path][method.lower()], asked)


def is_allowed(described: dict[str, Any], operation: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether the description allows these parameters and this body."""
    values = [
        (parameter["schema"], [value] if parameter["schema"].get("type") == "array" else value)
        for parameter in operation.get("parameters", [])
        if (value := asked.get("params", {}).get(parameter["name"])) is not None
    ]
    if "json" in asked:
        values.append((operation["requestBody"]["content"]["application/json"]["schema"], asked["json"]))
    formats = OAS31Validator.FORMAT_CHECKER
    parts = [{**schema, "components": described["components"]} for schema, _ in values]
    return all(
        OAS31Validator(schema, format_checker=formats).is_valid(value)
        for schema, (_, value) in zip(parts, values, strict=True)
    )
