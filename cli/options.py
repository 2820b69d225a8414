"""What the client commands share: the service's URL, output for programs, and how errors end a command."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec

import typer
from rich.console import Console
from rich.text import Text

from cli.client import ApiError, Client
from store.settings import Settings

REFUSED = 2  # exit code when the service refused or does not answer

Url = Annotated[str | None, typer.Option("--url", help="address of the service [env: AUTONL_URL]")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]

_P = ParamSpec("_P")


def connect(url: str | None) -> Client:
    """A client of the named service, or else of the one that the environment names."""
    return Client(url or Settings().url)


def print_json(answer: Any) -> None:
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def stop_on_error(command: Callable[_P, None]) -> Callable[_P, None]:
    """Ends a command with a readable message and exit code 2 instead of a traceback."""

    @functools.wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ApiError as error:
            Console(stderr=True).print(Text(str(error), style="red"), soft_wrap=True)
            raise typer.Exit(REFUSED) from error
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    return wrapper
