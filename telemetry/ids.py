"""The ids of what a thread or a request works on: every log line and every span has those that are known.

They follow the context: a thread that a request is computed in has them, a thread of the process itself does not.
What a whole process works on is known in all of its threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_known: ContextVar[tuple[Callable[[], Mapping[str, str]], ...]] = ContextVar("ids", default=())
_of_process: dict[str, str] = {}


def set_process_ids(**values: str | int | None) -> None:
    """From now on, every line of this process carries these ids, whatever thread writes it. None: not known."""
    _of_process.update(_plain(values))


@contextmanager
def ids(**values: str | int | None) -> Iterator[None]:
    """Within the block, lines carry these ids, besides those of the blocks around it. None: not known."""
    fixed = _plain(values)
    with live_ids(lambda: fixed):
        yield


@contextmanager
def live_ids(read: Callable[[], Mapping[str, str]]) -> Iterator[None]:
    """The same for ids that become known within the block: `read` is called for each line."""
    before = _known.set((*_known.get(), read))
    try:
        yield
    finally:
        _known.reset(before)


def current_ids() -> dict[str, str]:
    """The ids that are known here; those of inner blocks win."""
    found = dict(_of_process)
    for read in _known.get():
        found |= read()
    return found


def _plain(values: Mapping[str, str | int | None]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}
