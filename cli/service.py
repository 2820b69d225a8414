"""The whole service on one machine: broker, migrations, API, worker, sweeper, checker and sender of webhooks,
each in its own process."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from autonl.blocking import BlockingCaller
from autonl.documents import health
from autonl.errors import AutonlError
from autonl_core.host.interpreter import module_command
from cli.broker import prepare_broker
from cli.errors import StartError
from cli.program import Program
from cli.signal_wait import signal_wait
from store.settings import Settings

_POLL_S = 0.2
_STEADY_POLL_S = 5.0  # while all processes run: the end of one wakes this process
_READY_S = 60.0
_STOP_S = 10.0  # on top of the grace period in which a running search saves its run state


class Service:
    """Starts and stops the processes of one data folder. `notify` is called with messages for the user.

    Use it in the main thread of a process that does nothing else.
    """

    def __init__(self, settings: Settings, listening: socket.socket, notify: Callable[[str], None]) -> None:
        self._folder = settings.data_dir
        self._notify = notify
        self._stopping = False
        self._impatient = False
        self.url = _url_of(listening)
        own_broker = "broker_url" not in settings.model_fields_set
        broker = prepare_broker(self._folder / "broker") if own_broker else None
        settings = settings.model_copy(
            update={"broker_url": broker.url, "url": self.url} if broker else {"url": self.url}
        )
        self._grace_s = settings.stop_grace_s + _STOP_S
        self._environment = settings.environment()
        self._broker = self._program("broker", *broker.command) if broker else None
        self._migrate = self._python("migrate", "store.migrate")
        self._api = self._python("api", "api", "--fd", str(listening.fileno()), inherit=(listening.fileno(),))
        self._workers = [
            self._python("worker", "worker"),
            self._python("sweeper", "worker.sweeper"),
            self._python("checker", "worker.checker"),
            self._python("webhooks", "worker.webhooks"),
        ]

    def run(self, ready: Callable[[], None]) -> bool:
        """Serve until SIGTERM, Ctrl-C or SIGHUP, then stop everything; returns whether all processes exited in time.

        `ready` is called once the API responds.

        Raises:
            StartError: a process did not start.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            self._start()
            if not self._stopping:
                ready()
                self._keep_running()
        finally:
            clean = self._stop()
        return clean

    def _keep_running(self) -> None:
        """Restart what dies, until a signal asks to stop."""
        with signal_wait() as signals:
            while not self._stopping:
                messages = [message for program in self._programs() if (message := program.keep_running())]
                for message in messages:
                    self._notify(message)
                all_run = all(program.running for program in self._programs())
                signals.wait(_STEADY_POLL_S if all_run else _POLL_S)

    def _start(self) -> None:
        if self._broker:
            self._broker.start()
        if self._migrate.run_to_end() != 0:
            raise self._failed(self._migrate)
        for program in (self._api, *self._workers):
            program.start()
        self._wait_until_healthy()
        if not self._stopping:
            self._write_state()

    def _wait_until_healthy(self) -> None:
        give_up_at = time.monotonic() + _READY_S
        while not self._stopping:
            if self._is_healthy():
                return
            if not self._api.running or time.monotonic() > give_up_at:
                raise self._failed(self._api)
            time.sleep(_POLL_S)

    def _is_healthy(self) -> bool:
        with BlockingCaller(self.url, retries=0) as client:
            try:
                client.run(health(timeout_s=2))
            except AutonlError:
                return False  # still starting
        return True

    def _stop(self) -> bool:
        """Stop everything, the broker last; a running search saves its run state. Kills what does not exit in time."""
        _state_path(self._folder).unlink(missing_ok=True)
        clean = True
        deadline = time.monotonic() + self._grace_s
        stopping = [self._api, *self._workers]
        for program in stopping:
            program.ask_to_stop()
        while any(program.running for program in stopping) and time.monotonic() < deadline and not self._impatient:
            time.sleep(_POLL_S / 4)
        for program in stopping:
            clean &= program.stop(time.monotonic())
        if self._broker:
            self._broker.ask_to_stop()
            clean &= self._broker.stop(time.monotonic() + _STOP_S)
        return clean

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._impatient = self._stopping  # the second request to stop
        self._stopping = True

    def _programs(self) -> list[Program]:
        return [*([self._broker] if self._broker else []), self._api, *self._workers]

    def _failed(self, program: Program) -> StartError:
        title = f"The {program.name} process did not start; the end of its log {program.log_path}:"
        return StartError(title, program.last_lines())

    def _write_state(self) -> None:
        """Record, for other programs, where the service listens and which process to signal to stop it."""
        path = _state_path(self._folder)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"url": self.url, "pid": os.getpid()}))
        temporary.replace(path)

    def _python(self, name: str, module: str, *arguments: str, inherit: tuple[int, ...] = ()) -> Program:
        return self._program(name, *module_command(module, *arguments), inherit=inherit)

    def _program(self, name: str, *command: str, inherit: tuple[int, ...] = ()) -> Program:
        return Program(name, command, self._environment, self._folder / "logs" / f"{name}.log", inherit)


def url_of(folder: Path, pid: int) -> str | None:
    """The URL of the service that process `pid` runs on the data folder; None while it is not up."""
    try:
        state = json.loads(_state_path(folder).read_text())
    except FileNotFoundError:
        return None
    url: str = state["url"]
    return url if state["pid"] == pid else None  # a killed service leaves its file behind


def _state_path(folder: Path) -> Path:
    return folder / "service.json"


def _url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (compared, not bound)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
