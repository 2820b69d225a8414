"""A GPU or MIG slice, as a slot uses it: what its search process needs to know, and whether it is sick."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import time
from collections.abc import Mapping, Sequence

from autonl_core.host.interpreter import module_command
from store.settings import Settings
from worker.devices.lock import DeviceLock

PROBE_COMMAND = module_command("worker.devices.probe")
PROBE_S = 20.0  # the first context after a boot takes seconds
_KILL_S = 2.0  # a process that hangs in the driver cannot be killed before the driver answers

log = logging.getLogger(__name__)


class GpuDevice:
    """The device with a UUID. It may be used, and probed, only while `lock` is held.

    Args:
        probe: a command that ends with exit code 0 if searches can compute on the GPU that its environment names.
    """

    def __init__(self, uuid: str, settings: Settings, probe: Sequence[str] = PROBE_COMMAND) -> None:
        self.name = uuid
        self.lock = DeviceLock(settings.gpu_locks_dir, uuid)
        self._settings = settings
        self._probe = list(probe)

    @property
    def environment(self) -> Mapping[str, str]:
        """A process sees this device only, as its first."""
        return {"AUTONL_DEVICE": "cuda", "CUDA_VISIBLE_DEVICES": self.name}

    @property
    def open_files(self) -> Sequence[int]:
        return (self.lock.descriptor,)

    @property
    def waits(self) -> bool:
        """Whether it is set aside and not to be tried yet."""
        record = self.lock.record()
        return record is not None and record.lasts()

    def sickness(self, timeout_s: float = PROBE_S) -> str | None:
        """Why searches cannot compute on it, by a probe; it is then set aside. None: they can."""
        reason = self._failure(timeout_s)
        if reason is None:
            self.lock.clear()
            return None
        record = self.lock.set_aside(reason, self._settings.gpu_retry_s)
        wait_s = record.until - time.time()
        log.error(
            "GPU %s is set aside for %.0f s: probe %d in a row failed: %s", self.name, wait_s, record.failures, reason
        )
        return reason

    def leave(self) -> None:
        """Release the device; the process that has inherited its lock keeps a file that locks nothing."""
        self.lock.renew()

    def _failure(self, timeout_s: float) -> str | None:
        try:
            process = subprocess.Popen(
                self._probe,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._settings.environment() | dict(self.environment),
            )
        except OSError as error:
            return f"its probe could not be started: {error}"
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_KILL_S)
            return f"it did not respond within {timeout_s:.0f} s"
        if process.returncode == 0:
            return None
        last_line = output.decode(errors="replace").strip().rpartition("\n")[2]
        return last_line or f"its probe ended with exit code {process.returncode}"
