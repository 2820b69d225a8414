"""Shared by the commands: the --url and --json options, and turning errors into messages and exit codes."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from cli.client import Client
from cli.errors import CommandError, SettingsError
from store.settings import Settings

REFUSED = 2  # exit code when a command could not do what it was asked to

Url = Annotated[str | None, typer.Option("--url", help="URL of the service (environment: AUTONL_URL)")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]

_P = ParamSpec("_P")


def connect(url: str | None) -> Client:
    """A client of the service at `url`, by default the one named in the environment."""
    return Client(url or read_settings().url)


def read_settings(**chosen: Any) -> Settings:
    """Settings from the environment, overridden by `chosen`. Raises SettingsError, listing every invalid setting."""
    try:
        return Settings(**chosen)
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False):
            name = ".".join(map(str, problem["loc"]))
            lines.append(f"AUTONL_{name.upper()}: {problem['msg']}" if name else problem["msg"])
        raise SettingsError("Invalid settings", lines) from error


def print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


def stop_on_error(command: Callable[_P, None]) -> Callable[_P, None]:
    """Make a command end with a readable message and exit code 2 instead of a traceback."""

    @functools.wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except CommandError as error:
            Console(stderr=True).print(Text(str(error), style="red"), soft_wrap=True)
            raise typer.Exit(REFUSED) from error
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    return wrapper
