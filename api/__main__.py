"""`python -m api --fd N`: serve on a listening socket that the parent process opened.

The parent knows at once whether the port is free, and connections wait instead of failing while this process restarts.
"""

from __future__ import annotations

import argparse
import logging
import socket

import uvicorn

from api.app import create_app
from api.server import Server
from store.settings import Settings

STOP_S = 3  # for responses under way at shutdown; event streams end then, and clients reconnect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fd", type=int, required=True, help="number of the inherited socket")
    listening = socket.socket(fileno=parser.parse_args().fd)
    settings = Settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOP_S,
    )
    Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
