"""One span for each phase of a search, from the first progress in it to the first in the next."""

from __future__ import annotations

from contextlib import ExitStack

from telemetry.traces import span


class PhaseSpans:
    """Use it in `with`: the end of the block ends the last phase."""

    def __init__(self) -> None:
        self._current = ExitStack()
        self._phase: str | None = None

    def enter(self, phase: str) -> None:
        """End the span of the phase before, unless this is still the same one."""
        if phase != self._phase:
            self.close()
            self._phase = phase
            self._current.enter_context(span(f"phase {phase}"))

    def close(self) -> None:
        self._current.close()
        self._phase = None
