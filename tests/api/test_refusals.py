"""What the API refuses: always with a problem document that lists every error and echoes nothing that was sent."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from store.settings import Settings
from tests.api.http_service import SEARCH, refusal, serving


@pytest.fixture(scope="module")
def client(
    migrated_sqlite: Path, shared_broker: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """One service for all refusals: none of them changes anything."""
    folder = tmp_path_factory.mktemp("refusals")
    shutil.copy(migrated_sqlite, folder / "autonl.db")
    with serving(Settings(data_dir=folder, broker_url=shared_broker)) as opened:
        yield opened


def pointers(problem: dict[str, Any]) -> set[str]:
    return {error["pointer"] for error in problem["errors"]}


@pytest.mark.parametrize("budget", [1, "1k", 10**12])
def test_a_budget_that_no_network_meets_is_refused_with_the_range(client: httpx.Client, budget: int | str) -> None:
    problem = refusal(client.post("/searches", json=SEARCH | {"flops_budget": budget}), 422, "budget-infeasible")
    low, high = problem["feasible_range"]["min_macs"], problem["feasible_range"]["max_macs"]
    assert pointers(problem) == {"/flops_budget"}
    for edge in (low, high):
        assert client.post("/searches?validate_only=true", json=SEARCH | {"flops_budget": edge}).status_code == 200
    for beyond in (low - 1, high + 1):
        assert client.post("/searches?validate_only=true", json=SEARCH | {"flops_budget": beyond}).status_code == 422


def test_a_limit_that_no_network_meets_is_refused_with_what_the_smallest_needs(client: httpx.Client) -> None:
    body = SEARCH | {"constraints": {"params": 100, "peak_activation_bytes": "10M"}}
    problem = refusal(client.post("/searches", json=body), 422, "invalid-request")
    (field,) = problem["errors"]
    assert field["pointer"] == "/constraints/params"
    (needed,) = re.findall(r"is below the ([\d,]+) parameters of the smallest network", field["detail"])
    least = int(needed.replace(",", ""))
    enough = SEARCH | {"constraints": {"params": least}}
    assert client.post("/searches?validate_only=true", json=enough).status_code == 200
    typo = refusal(
        client.post("/searches", json=SEARCH | {"constraints": {"parameters": "1M"}}), 422, "invalid-request"
    )
    assert pointers(typo) == {"/constraints/parameters"}


def test_a_format_that_no_worker_can_make_is_refused_with_the_command_that_installs_it(
    migrated_sqlite: Path, shared_broker: str, tmp_path: Path
) -> None:
    body = SEARCH | {"export": {"formats": ["onnx", "executorch"]}}
    shutil.copy(migrated_sqlite, tmp_path / "autonl.db")
    settings = Settings(data_dir=tmp_path, broker_url=shared_broker, export_extras="")
    with serving(settings) as nowhere:
        problem = refusal(nowhere.post("/searches", json=body), 422, "invalid-request")
    (field,) = problem["errors"]
    assert (field["pointer"], field["code"]) == ("/export/formats/1", "extra_missing")
    assert "pip install 'autonl[executorch]'" in field["detail"]
    assert "AUTONL_EXPORT_EXTRAS=executorch" in field["detail"]
    with serving(settings.model_copy(update={"export_extras": "other, executorch"})) as informed:
        assert informed.post("/searches?validate_only=true", json=body).status_code == 200


def test_all_problems_are_listed_at_once_beyond_those_of_the_schema(client: httpx.Client) -> None:
    body = {"dataset": "nope", "flops_budget": True, "seed": "x", "bogus": 1, "supernet": {"epochs": 1.5, "lr": -1}}
    problem = refusal(client.post("/searches", json=body), 422, "invalid-request")
    assert pointers(problem) == {"/dataset", "/flops_budget", "/seed", "/bogus", "/supernet/epochs", "/supernet/lr"}
    problem = refusal(client.post("/searches", json=SEARCH | {"flops_budget": 1, "seed": -1}), 422, "invalid-request")
    assert pointers(problem) == {"/flops_budget", "/seed"}
    assert "feasible_range" in problem


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"resolution": 4}, "must be at least 8"),
        ({"seed": "x"}, "must be a valid integer"),
        ({"flops_budgets": ["1M"] * 17}, "must have at most 16 items after validation, not 17"),
    ],
)
def test_a_field_is_described_by_what_it_must_be(client: httpx.Client, body: dict[str, Any], detail: str) -> None:
    problem = refusal(client.post("/searches", json=SEARCH | body), 422, "invalid-request")
    assert detail in [error["detail"] for error in problem["errors"]]


def test_unknown_names_are_listed_together_with_whatever_else_is_wrong(client: httpx.Client) -> None:
    names = {"dataset": "nope", "search_space": "foo", "init": "nope"}
    listed = {"/dataset", "/search_space", "/init"}
    assert pointers(refusal(client.post("/searches", json=SEARCH | names), 422, "invalid-request")) == listed
    wrong = {"resolution": 4, "algorithm": "best", "baselines": ["resnet"]}
    answer = client.post("/searches", json=SEARCH | names | wrong)
    listed |= {"/resolution", "/algorithm", "/baselines/0"}
    assert pointers(refusal(answer, 422, "invalid-request")) == listed
    answer = client.post("/searches", json=SEARCH | names | {"flops_budgets": ["1M"]})  # which contradicts flops_budget
    assert pointers(refusal(answer, 422, "invalid-request")) == {"", "/dataset", "/search_space", "/init"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"flops_budget": 400000}, "/dataset"),
        (SEARCH | {"search_space": "none-such"}, "/search_space"),
        (SEARCH | {"search_space": "mobile-224"}, "/resolution"),
        (SEARCH | {"resolution": 500}, "/resolution"),
        (SEARCH | {"dataset": "a/b"}, "/dataset"),
        (SEARCH | {"dataset": "a\x00"}, "/dataset"),
        (SEARCH | {"a/b~c": 1}, "/a~1b~0c"),
        ([], ""),
        (None, ""),
        ("text", ""),
    ],
)
def test_an_invalid_field_is_named_by_its_pointer(client: httpx.Client, body: Any, pointer: str) -> None:
    assert pointers(refusal(client.post("/searches", json=body), 422, "invalid-request")) == {pointer}


def test_a_body_without_a_length_is_cut_off_at_the_limit(client: httpx.Client) -> None:
    chunks = (b" " * 65536 for _ in range(17))
    refusal(
        client.post("/searches", content=chunks, headers={"Content-Type": "application/json"}), 413, "payload-too-large"
    )


def test_a_body_that_is_not_declared_as_json_is_not_read(client: httpx.Client) -> None:
    # a form on another site can send this without asking the browser for permission
    for path in ("/searches", "/datasets"):
        answer = client.post(path, content=b'{"dataset": "digits"}', headers={"Content-Type": "text/plain"})
        problem = refusal(answer, 400, "malformed-request")
        assert "application/json" in problem["detail"]


def test_what_was_sent_is_not_repeated(client: httpx.Client) -> None:
    answer = client.post("/searches", json=SEARCH | {"seed": "hunter2", "train": {"lr": "hunter2"}})
    refusal(answer, 422, "invalid-request")
    assert "hunter2" not in answer.text


def test_thousands_of_problems_are_counted_but_not_all_listed(client: httpx.Client) -> None:
    problem = refusal(client.post("/searches", json={f"f{n}": 1 for n in range(900)}), 422, "invalid-request")
    assert len(problem["errors"]) == 100
    assert problem["detail"].startswith("902 problems")


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "/searches/none", 404, "not-found"),
        ("GET", "/searches/none/events", 404, "not-found"),
        ("GET", "/searches/none/metrics", 404, "not-found"),
        ("GET", "/searches/none/logs", 404, "not-found"),
        ("GET", "/searches/none/architectures", 404, "not-found"),
        ("POST", "/searches/none/cancel", 404, "not-found"),
        ("DELETE", "/searches/none", 404, "not-found"),
        ("GET", "/architectures/none", 404, "not-found"),
        ("GET", "/datasets/none", 404, "not-found"),
        ("GET", "/problems/none", 404, "not-found"),
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/static/../app.py", 404, "not-found"),
        ("PUT", "/searches", 405, "method-not-allowed"),
        ("GET", "/searches?state=lost", 422, "invalid-request"),
        ("GET", "/searches?page_size=0", 422, "invalid-request"),
        ("GET", "/searches?created_after=yesterday", 422, "invalid-request"),
        ("GET", "/search-spaces?resolution=many", 422, "invalid-request"),
    ],
)
def test_every_refusal_is_a_problem(client: httpx.Client, method: str, path: str, status: int, name: str) -> None:
    refusal(client.request(method, path), status, name)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/searches", {"GET", "HEAD", "POST"}),
        ("OPTIONS", "/searches/none", {"GET", "HEAD", "DELETE", "PATCH"}),
        ("POST", "/architectures/none/checkpoint", {"GET", "HEAD"}),
        ("DELETE", "/static/app.js", {"GET", "HEAD"}),
    ],
)
def test_a_refused_method_gets_all_that_are_allowed(
    client: httpx.Client, method: str, path: str, allowed: set[str]
) -> None:
    answer = client.request(method, path)
    refusal(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == allowed


def test_every_problem_type_explains_itself(client: httpx.Client) -> None:
    problem = refusal(client.get("/nowhere"), 404, "not-found")
    explained = client.get(problem["type"]).json()
    assert explained["title"] == problem["title"]
    assert explained["advice"]


def test_a_request_id_is_kept_if_it_is_harmless(client: httpx.Client) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    assert client.get("/healthz", headers={"X-Request-Id": "<script>"}).headers["X-Request-Id"] != "<script>"
