"""The attempts of a slot whose searches export without its device: one computes, the one before may still export.

No more than one exports, so that what a slot takes of the CPUs and of the memory of its host stays bounded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context


class ExportsBeside:
    """Runs attempts, each in a thread of its own, which ends with it."""

    def __init__(self) -> None:
        self._exporting: Future[None] | None = None

    def run(self, attempt: Callable[[], None], left: threading.Event) -> bool:
        """Run `attempt` until it has ended, or has set `left` and the one that exported before has ended.

        Returns:
            Whether it goes on, beside the next one.

        Raises:
            Exception: what an attempt raised that has ended by then.
        """
        ended: Future[None] = Future()

        def to_its_end() -> None:
            try:
                attempt()
            except BaseException as error:  # noqa: BLE001  (raised again where it is waited for)
                ended.set_exception(error)
            else:
                ended.set_result(None)
            left.set()

        # a daemon: a worker that has to end at once leaves its search process to the lifeline, as one that was killed
        threading.Thread(target=copy_context().run, args=(to_its_end,), name="attempt", daemon=True).start()
        left.wait()
        self.wait()
        self._exporting = ended
        if not ended.done():
            return True
        self.wait()
        return False

    def still_runs(self, timeout_s: float) -> bool:
        """Wait for the attempt that exports, but not longer; whether there was one."""
        if self._exporting is None:
            return False
        try:
            self._exporting.exception(timeout_s)
        except TimeoutError:
            return True
        self.wait()
        return True

    def wait(self) -> None:
        """Wait for the attempt that exports, if one does. Raises what it raised."""
        exporting, self._exporting = self._exporting, None
        if exporting is not None:
            exporting.result()
