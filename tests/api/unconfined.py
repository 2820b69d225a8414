"""Checks without confined processes, which take a second each to start; tests/worker has those."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from unittest import mock

from worker import check_process, weight_check_process
from worker.confined_process import OnMessage


class _Pipe:
    def __init__(self, on_message: OnMessage) -> None:
        self.send = on_message


class _InThisProcess:
    """In place of `ConfinedProcess`: calls the same code, with the same messages."""

    def __init__(self, module: str, _access: object, limit_s: float) -> None:
        self._module, self.limit_s, self.limited_for = module, limit_s, ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def run(self, task: bytes, on_message: OnMessage) -> Mapping[str, Any]:
        result = importlib.import_module(self._module).check(task, _Pipe(on_message))
        as_sent: dict[str, Any] = json.loads(json.dumps(result))
        return as_sent


@contextmanager
def unconfined_checks() -> Iterator[None]:
    """Within this, checks read their files in this process."""
    with (
        mock.patch.object(check_process, "ConfinedProcess", _InThisProcess),
        mock.patch.object(weight_check_process, "ConfinedProcess", _InThisProcess),
    ):
        yield
