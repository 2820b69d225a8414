"""A client that openapi-python-client generates from the description builds, has types, and does what it says."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import CONTENT, check_datasets, run_to_success
from tests.autonl.test_input_operations import class_folders

PACKAGE = "generated_client"
# What the generator does not know: which bodies are bytes.
OVERRIDES = {
    "content_type_overrides": dict.fromkeys(
        ("application/zip", "image/jpeg", "application/vnd.onnx", "application/x-pytorch"), "application/octet-stream"
    )
}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the generated package."""
    from api.app import create_app

    folder = tmp_path_factory.mktemp("generated")
    described = create_app(Settings(data_dir=folder / "data")).openapi()
    (folder / "openapi.json").write_text(json.dumps(described))
    (folder / "config.json").write_text(json.dumps(OVERRIDES))
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    command += ["--path", "openapi.json", "--config", "config.json", "--output-path", PACKAGE]
    # The generator calls ruff, which is beside this interpreter, whether its environment is activated or not.
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def operation(tag: str, name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.api.{tag}.{name}")


@pytest.mark.long
def test_every_operation_has_a_module(generated: Path) -> None:
    described = json.loads((generated / "openapi.json").read_text())
    for operations in described["paths"].values():
        for one in operations.values():
            assert hasattr(operation(one["tags"][0], one["operationId"]), "sync_detailed")


@pytest.mark.long  # checks some hundred files: a minute
@pytest.mark.timeout(300)
def test_it_has_types_that_fit(generated: Path) -> None:
    """Its operations and models; the rest is the same for every API, and no matter of this description."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--follow-imports", "silent"]
    command += [f"{PACKAGE}/api", f"{PACKAGE}/models"]
    done = subprocess.run(command, cwd=generated, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_it_runs_a_search(
    generated: Path, client: httpx.Client, settings: Settings, stores: Stores, tmp_path: Path
) -> None:
    models: Any = importlib.import_module(f"{PACKAGE}.models")
    kind = importlib.import_module(f"{PACKAGE}.client").Client
    with kind(base_url=str(client.base_url)) as connected:
        run_flow(connected, models, settings, stores, tmp_path)


def run_flow(connected: Any, models: Any, settings: Settings, stores: Stores, tmp_path: Path) -> None:
    pictures = class_folders(settings.dataset_roots[0] / "pets")

    body = models.DatasetBody(name="pets", path=str(pictures))
    assert operation("datasets", "add_dataset").sync(client=connected, body=body).state == "checking"
    check_datasets(settings)
    checked = operation("datasets", "get_dataset").sync("pets", client=connected)
    assert (checked.state, checked.classes) == ("ready", ["cat", "dog"])

    refused = operation("searches", "start_search").sync(
        client=connected, body=models.SearchRequest(dataset="pets", flops_budget=1)
    )
    assert (refused.type_, refused.status) == ("/problems/budget-infeasible", 422)
    started = operation("searches", "start_search").sync(
        client=connected, body=models.SearchRequest(dataset="pets", flops_budget="450k")
    )
    assert (started.state, started.flops_budget) == ("queued", 450_000)
    run_to_success(stores, tmp_path)
    ended = operation("searches", "get_search").sync(started.id, client=connected)
    assert (ended.state, ended.result.architecture.macs <= 450_000) == ("succeeded", True)
    file = operation("architectures", "download_checkpoint").sync_detailed(ended.best.arch_id, client=connected)
    assert file.content == CONTENT
