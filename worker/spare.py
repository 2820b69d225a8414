"""A search process started ahead of its search, so that no search waits while torch is loaded."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from store.leases import Lease
from store.settings import Settings
from worker.devices.device import CPU, Device
from worker.process import SupervisedProcess

log = logging.getLogger(__name__)


class Spare:
    """At most one process that waits for a search. It runs a single one, as every search process does.

    One that has waited for `Settings.spare_idle_s` is ended, since it takes memory.

    Args:
        command: of a search process; without a search in its arguments, but seconds, it rests so long and then
            prepares for one, unless one arrives earlier.
    """

    def __init__(self, command: Sequence[str], settings: Settings) -> None:
        self._command = command
        self._settings = settings
        self._lock = threading.Lock()
        self._waiting: subprocess.Popen[bytes] | None = None
        self._device: Device = CPU
        self._expiry: threading.Timer | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that waits, if one does."""
        return None if self._waiting is None else self._waiting.pid

    def renew(self, rest_s: float = 0, device: Device = CPU) -> None:
        """Start a process, unless one waits. Searches do without if it cannot be started.

        Args:
            rest_s: before it prepares. After a search, its user downloads and verifies the result, perhaps on the same
                machine.
            device: that its search will probably get.
        """
        if not self._settings.spare_idle_s:
            return
        with self._lock:
            if self._waiting is not None:
                if self._waiting.poll() is None:
                    return
                SupervisedProcess(self._waiting).reap()
            try:
                self._waiting = subprocess.Popen(
                    [*self._command, str(rest_s)],
                    stdin=subprocess.PIPE,
                    start_new_session=True,
                    env=self._settings.search_process_environment() | dict(device.environment),
                    pass_fds=device.open_files,
                )
            except OSError as error:
                log.warning("no search process could be started ahead: %s", error)
                return
            self._device = device
            self._expiry = threading.Timer(self._settings.spare_idle_s, self.end)
            self._expiry.daemon = True
            self._expiry.start()

    def take(self, lease: Lease, log_path: Path, device: Device = CPU) -> SupervisedProcess | None:
        """Give a search to the process that waits for this device; None if none does."""
        process = self._remove()
        if process is None:
            return None
        waiting = SupervisedProcess(process)
        if device.name != self._device.name:  # fixed for a process once CUDA has begun
            waiting.reap()
            return None
        assignment = json.dumps([lease.search_id, lease.fence, str(log_path)])
        try:
            assert process.stdin is not None
            process.stdin.write(f"{assignment}\n".encode())
            process.stdin.flush()
        except BrokenPipeError:
            pass
        if process.poll() is None:
            return waiting
        waiting.reap()  # it had died before
        return None

    def end(self) -> None:
        """End the process that waits, if one does."""
        process = self._remove()
        if process is not None:
            SupervisedProcess(process).reap()

    def _remove(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            process, self._waiting = self._waiting, None
            if self._expiry is not None:
                self._expiry.cancel()
                self._expiry = None
        return process
