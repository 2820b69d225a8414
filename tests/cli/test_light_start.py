"""A command imports what it needs and nothing else: most of them ask one question, and importing takes the longest."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import click
import httpx
import pytest

from cli.commands import LazyCommand
from cli.main import COMMANDS, app
from tests.api.http_service import start
from tests.servers import free_port

REPOSITORY = Path(__file__).parents[2]
# What the service needs, and clients and parsers that take longer to import than a command takes to run.
CLIENT = {"httpx"}  # of those commands that ask a service
HEAVY = CLIENT | {
    "alembic",
    "celery",
    "fastapi",
    "markdown_it",
    "numpy",
    "pydantic",
    "pydantic_settings",
    "redis",
    "requests",
    "sqlalchemy",
    "torch",
    "typer",
    "urllib3",
    "uvicorn",
    "valkey",
    "yaml",
}
CODE = """
import sys
from cli.main import app
try:
    app(sys.argv[1:])
finally:
    print(*sys.modules, file=sys.stderr)
"""
CORE = {"autonl_core.spec", "autonl_core.datasets", "autonl_core.errors"}  # its words alone are light


def run(*arguments: str) -> tuple[int, str, set[str]]:
    """Exit code and output of a command in a process of its own, and the modules that it had imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    *error, imported = done.stderr.splitlines()
    return done.returncode, done.stdout + "\n".join(error), set(imported.split())


OF_EVERY_START = {"cli.commands", "cli.errors", "cli.main", "cli.options"}  # none of them is a command


def test_help_imports_no_command() -> None:
    code, output, imported = run("--help")
    assert (code, "Show the current state of a search" in output) == (0, True)
    assert imported & (HEAVY | {"rich", "http", "autonl_core", "store.settings"}) == set()
    assert {name for name in imported if name.startswith("cli.")} == OF_EVERY_START


def test_status_imports_no_more_than_a_client(service: httpx.Client) -> None:
    code, output, imported = run("status", start(service))
    assert (code, "400,000 MACs" in output) == (0, True)
    assert imported & ((HEAVY - CLIENT) | CORE | {"store.settings"}) == set()


def test_neither_does_status_without_a_service() -> None:
    code, output, imported = run("status", "x", "--url", f"http://127.0.0.1:{free_port()}")
    assert (code, "autonl up" in output) == (2, True)
    assert imported & ((HEAVY - CLIENT) | CORE | {"store.settings"}) == set()


def test_the_version_is_that_of_the_package() -> None:
    code, output, imported = run("--version")
    assert (code, output) == (0, f"autonl {metadata.version('autonl')}\n")
    assert {name for name in imported if name.startswith("cli.")} == OF_EVERY_START


def paths_of(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    loaded = command.load() if isinstance(command, LazyCommand) else command
    below = loaded.commands.values() if isinstance(loaded, click.Group) else ()
    return [path, *(deeper for one in below for deeper in paths_of(one, (*path, str(one.name))))]


@pytest.mark.long
@pytest.mark.parametrize("path", paths_of(app), ids=" ".join)
def test_the_help_of_a_command_is_light_and_names_no_type_of_a_flag(path: tuple[str, ...]) -> None:
    code, output, imported = run(*path, "--help")
    assert code == 0
    assert imported & (HEAVY | {"store.settings"}) == set()
    assert "bool" not in output.lower()
    assert "show this message and exit" in output
    assert "[default: (" not in output


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.name))
def test_a_command_is_listed_with_its_own_help(command: click.Command) -> None:
    (listed,) = (one for one in COMMANDS if one is command)
    loaded = listed.load()
    assert (loaded.name, loaded.help) == (listed.name, listed.help)
