"""The service, and a bare FastAPI application below `/bare`, in one process: `python -m benchmarks.reads_server FD`."""

from __future__ import annotations

import socket
import sys
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import create_app
from api.dear_routes import let_polls_in
from api.server import Server
from api.timed_protocol import TimedProtocol

_PREFIX = "/bare"


class Item(BaseModel):
    """A response of the size of a small search."""

    id: str
    state: str
    numbers: list[int]


bare = FastAPI()


@bare.get("/bare/items/{item_id}")
def get_item(item_id: str, if_none_match: Annotated[str | None, Header()] = None) -> Item:
    """What the simplest route costs that has a parameter, a header and a model: no database, no middleware."""
    return Item(id=item_id, state="succeeded", numbers=list(range(10)))


class _Both:
    """The bare application below its prefix, the service elsewhere."""

    def __init__(self, service: ASGIApp) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_bare = scope["type"] == "http" and scope["path"].startswith(_PREFIX)
        await (bare if is_bare else self._service)(scope, receive, send)


def main() -> None:
    let_polls_in()
    config = uvicorn.Config(_Both(create_app()), http=TimedProtocol, log_config=None, access_log=False)
    Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
