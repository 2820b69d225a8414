"""`python -m api`: serve on an address, or on a listening socket that the parent process opened.

With `--fd` the parent knows at once whether the port is free, and connections wait instead of failing while this
process restarts.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys

import uvicorn

from api.access import is_loopback
from api.app import create_app
from api.dear_routes import let_polls_in
from api.request_record import access_log
from api.server import Server
from api.timed_protocol import TimedProtocol
from store.db import UNAVAILABLE
from store.errors import SchemaOutdated
from store.migrate import check_schema
from store.settings import Settings
from store.stores import open_stores
from telemetry.log_lines import configure_logging
from telemetry.traces import configure_tracing

STOP_S = 3  # for responses under way at shutdown; event streams end then, and clients reconnect
MAX_CONNECTIONS = 1000  # beyond it, requests get 503 at once
_UNREADABLE: tuple[type[Exception], ...] = (SchemaOutdated, *UNAVAILABLE)
_BACKLOG = 2048  # connections that wait for this process


def main() -> None:
    options = _parse()
    settings = _with_keys(Settings(), _host_of(options))
    listening = _socket(options)
    let_polls_in()
    configure_logging(settings.log_level, settings.log_format)
    access_log.disabled = not settings.access_log
    configure_tracing("api", settings.trace_endpoint)
    config = uvicorn.Config(
        create_app(settings),
        http=TimedProtocol,
        log_config=None,
        access_log=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=STOP_S,
    )
    Server(config).run(sockets=[listening])


def _with_keys(settings: Settings, host: str) -> Settings:
    """Require keys unless only this machine can reach the address. Exits if no key exists, and none was promised."""
    if is_loopback(host) or settings.require_keys:
        return settings
    with contextlib.closing(open_stores(settings)) as stores:
        try:
            check_schema(stores.database)
            exists = stores.keys.any_valid()
        except _UNREADABLE as error:
            sys.exit(f"others can reach {host}, and whether there is a key cannot be read: {error}")
        if not exists:
            sys.exit(
                f"others can reach {host}, and no key exists that would keep them out: make one (autonl keys create), "
                "or set AUTONL_REQUIRE_KEYS=true and make it later, or listen on 127.0.0.1"
            )
    return settings.model_copy(update={"require_keys": True})


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--fd", type=int, help="number of the inherited socket")
    where.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="with --host")
    return parser.parse_args()


def _host_of(options: argparse.Namespace) -> str:
    """The address that it will listen on, or that the parent process listens on."""
    if options.fd is None:
        return str(options.host)
    with socket.socket(fileno=os.dup(options.fd)) as inherited:
        return str(inherited.getsockname()[0])


def _socket(options: argparse.Namespace) -> socket.socket:
    """Taken over by its number: only then does asyncio see a TCP socket and send without delay."""
    if options.fd is not None:
        return socket.socket(fileno=options.fd)
    family, _, _, _, address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0]
    return socket.socket(fileno=socket.create_server(address[:2], family=family, backlog=_BACKLOG).detach())


if __name__ == "__main__":
    main()
