"""`autonl up`: runs the service on this machine until Ctrl-C. Restarted on the same folder, searches continue."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from cli.errors import StartError
from cli.host_stores import host_stores
from cli.options import stop_on_error
from cli.settings_of_host import read_settings

if TYPE_CHECKING:
    from store.settings import Settings

# A single user waits for every search: poll, beat and notify more often than a fleet would.
_EMBEDDED: dict[str, Any] = {
    "beat_s": 3,
    "lease_s": 20,
    "poll_s": 0.5,
    "sweep_s": 1,
    "ring_s": 1,
    "ring_max_s": 5,
    "stop_grace_s": 30,
    "crash_backoff_s": 1,
}


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="port to listen on; 0 picks a free one",
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="folder for all data (default: ./autonl-data)")
@click.option(
    "--dataset-root",
    "dataset_roots",
    type=click.Path(path_type=Path),
    multiple=True,
    help="folder under which datasets may be registered in place; repeatable [default: none]",
)
@stop_on_error
def up(host: str, port: int, data_dir: Path | None, dataset_roots: tuple[Path, ...]) -> None:
    """Run the whole service here: broker, API with the page, worker, sweeper, checker, webhooks. Ctrl-C stops it."""
    from autonl_core.host.packages import describe_missing, missing_packages
    from cli.service import Service  # imported with the settings, neither of which the help needs

    if missing := missing_packages():
        raise StartError("The worker needs packages that are not installed", [describe_missing(missing)])
    stdout, stderr = Console(), Console(stderr=True)
    settings = _settings(host, data_dir, dataset_roots)
    _require_key(host, settings)
    # The port first: one that is taken leaves no folder behind.
    with _listen(host, port) as listening, _locked(settings.data_dir):
        service = Service(settings, listening, notify=lambda message: _say(stderr, message, "yellow"))
        _say(stdout, f"AutoNL is starting; data and logs are in {settings.data_dir}")
        _say(stdout, _who_may_ask(host, settings))
        clean = service.run(
            ready=lambda: _say(stdout, f"AutoNL is running at {service.url}; press Ctrl-C to stop", "bold")
        )
    _say(stdout, "AutoNL stopped" if clean else "AutoNL stopped; some processes did not exit and were killed")


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)


def _settings(host: str, data_dir: Path | None, dataset_roots: Sequence[Path]) -> Settings:
    """Command-line options, then settings from the environment, then defaults that suit one machine."""
    from_environment = read_settings().model_fields_set
    chosen = {name: value for name, value in _EMBEDDED.items() if name not in from_environment}
    if data_dir is not None:
        chosen["data_dir"] = data_dir
    if dataset_roots:
        missing = [str(root) for root in dataset_roots if not root.is_dir()]
        if missing:
            raise StartError("--dataset-root must name existing folders; these do not exist:", missing)
        chosen["dataset_roots"] = tuple(root.resolve() for root in dataset_roots)
    if _is_loopback(host) and "allowed_hosts" not in from_environment:
        chosen["allowed_hosts"] = ("localhost",)  # no other name can lead here, except by a trick
    return read_settings(**chosen)


def _require_key(host: str, settings: Settings) -> None:
    """Raises StartError if others could reach the service and no key keeps them out."""
    if _is_loopback(host) or settings.require_keys:
        return
    if settings.database_url or settings.data_dir.is_dir():
        with host_stores(settings.data_dir) as stores:
            if stores.keys.any_valid():
                return
    raise StartError(
        f"Others can reach {host}, and no key exists that would keep them out",
        [
            f"make one first: autonl keys create --data-dir {settings.data_dir}",
            "or start with AUTONL_REQUIRE_KEYS=true, and make it later",
            "or listen for this machine only: --host 127.0.0.1",
        ],
    )


def _who_may_ask(host: str, settings: Settings) -> str:
    if settings.require_keys or not _is_loopback(host):
        return "Every request needs a key: autonl keys create makes one"
    return f"No key is needed: only this machine can reach {host}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder, made if need be, for this process; the kernel releases the lock however the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise StartError(
                f"{folder} is in use by another `autonl up` (process {holder})",
                ["stop that one first, or choose another folder with --data-dir"],
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            way_out = "choose another with --port, or pick a free one with --port 0"
            raise StartError(f"Port {port} of {host} is already in use", [way_out]) from error
        raise StartError(f"Cannot listen on {host} port {port}", [error.strerror or str(error)]) from error
