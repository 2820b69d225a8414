"""Import rules that import-linter cannot see: what a process really loads, and which file may do what."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("api", "autonl", "autonl_core", "cli", "migrations", "store", "telemetry", "worker")
SPEC_LAYER = ("spec", "datasets")
CHILDREN = ("worker.search_process", "worker.check_process", "worker.weight_check_process")
TENSOR_CODE = {"torch", "numpy", "scipy", "sklearn", "safetensors"}


def modules(folder: str) -> list[str]:
    """Dotted names of all modules below `folder`."""
    files = (file.relative_to(ROOT).with_suffix("") for file in sorted((ROOT / folder).rglob("*.py")))
    return [".".join(file.parts).removesuffix(".__init__") for file in files]


WORKER = [name for name in modules("worker") if name not in CHILDREN]


@functools.cache
def loaded_by(*names: str) -> frozenset[str]:
    """Top-level packages in memory of a fresh interpreter that imported `names`."""
    code = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    command = [sys.executable, "-c", code, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return frozenset(name.partition(".")[0] for name in done.stdout.split())


@pytest.mark.parametrize(
    ("room", "names"),
    [
        ("the API", modules("api")),
        ("the stores", modules("store")),
        ("the command line", ["cli.main"]),
        ("the client", modules("autonl")),
        ("the worker's parent process", WORKER),
        ("the spec layer of the core", [name for package in SPEC_LAYER for name in modules(f"autonl_core/{package}")]),
    ],
)
def test_only_the_search_itself_loads_tensor_code(room: str, names: list[str]) -> None:
    assert names
    assert not loaded_by(*names) & TENSOR_CODE, f"{room} loads tensor code"


def test_a_service_on_sqlite_does_not_load_the_driver_of_postgresql() -> None:
    """Nine megabytes of each of its processes."""
    assert "psycopg" not in loaded_by("api.__main__", "store.stores", *WORKER)


def test_the_worker_s_parent_loads_no_web_framework() -> None:
    assert not loaded_by(*WORKER) & {"fastapi", "uvicorn"}


def test_a_client_loads_nothing_of_the_service() -> None:
    """It is used by programs that have nothing to do with one."""
    assert not loaded_by(*modules("autonl")) & {"api", "celery", "fastapi", "pydantic", "sqlalchemy", "yaml"}


def test_a_sweeper_loads_celery_only_to_notify() -> None:
    assert not loaded_by("worker.sweeper") & {"celery", "kombu", "redis"}


@functools.cache
def parsed() -> dict[str, ast.Module]:
    """Path and syntax tree of every file of the rooms."""
    files = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]
    paths = {file.relative_to(ROOT).as_posix(): file for file in files}
    return {path: ast.parse(file.read_text(encoding="utf-8"), filename=path) for path, file in paths.items()}


def sources(*without: str) -> Iterator[tuple[str, ast.Module]]:
    """Path and syntax tree of every file of the rooms, except those whose path begins with one of `without`."""
    return ((path, tree) for path, tree in parsed().items() if not path.startswith(without))


def uses(tree: ast.Module, *attributes: str) -> list[int]:
    """Lines that name one of `attributes`, such as `commit` in `session.commit()`, or import it by name."""
    named = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in attributes]
    return named + [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and any(alias.name in attributes for alias in node.names)
    ]


def imports(tree: ast.Module, *packages: str) -> list[int]:
    """Lines that import one of `packages` or anything in it."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        if any(name == package or name.startswith(f"{package}.") for name in names for package in packages):
            lines.append(node.lineno)
    return lines


def test_the_rules_below_recognise_what_they_forbid() -> None:
    tree = ast.parse("import os, sqlalchemy.orm\nfrom os import getenv\nos.environ['A']\nsession.commit()\n")
    assert sorted(uses(tree, "environ", "getenv")) == [2, 3]
    assert uses(tree, "commit") == [4]
    assert imports(tree, "sqlalchemy") == [1]


def test_only_the_database_module_commits() -> None:
    found = [f"{path}:{line}" for path, tree in sources("store/db.py") for line in uses(tree, "commit")]
    assert found == []


def test_only_the_settings_read_the_environment_and_the_client_where_its_service_is() -> None:
    names = ("environ", "environb", "getenv", "putenv")
    # The last one passes on what is no setting.
    allowed = ("store/settings.py", "autonl/http.py", "autonl_core/host/environment.py")
    found = [f"{path}:{line}" for path, tree in sources(*allowed) for line in uses(tree, *names)]
    assert found == []


def test_sql_stays_in_the_store_and_its_migrations() -> None:
    found = [
        f"{path}:{line}"
        for path, tree in sources("store/", "migrations/")
        for line in imports(tree, "sqlalchemy", "alembic", "psycopg", "sqlite3")
    ]
    assert found == []


def test_http_status_codes_stay_in_the_api_its_client_and_the_sender_of_webhooks() -> None:
    found = [
        f"{path}:{line}"
        for path, tree in sources("api/", "autonl/", "cli/", "worker/webhooks/call.py")
        for line in [*uses(tree, "status_code", "HTTPStatus", "HTTPException"), *imports(tree, "http")]
    ]
    assert found == []
