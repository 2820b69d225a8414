"""Timing ONNX models on this machine, beside the reference that all device tables share (`timer.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

import onnxruntime

from autonl_core.device_table.parts import network_model
from autonl_core.device_table.timer import Model, OnRound, Timed, time_beside
from autonl_core.host.cpus import processor_name
from autonl_core.spec.device_table import TableMachine
from autonl_core.spec.space_families import SPACES


class Timer(Protocol):
    """Some models on some machine, ready to be timed."""

    def time(self, rounds: int, on_round: OnRound = lambda share: None) -> Timed:
        """Let all models take their turns in so many rounds. Raises DeviceTableError if the machine cannot."""


class OwnTimer:
    """The models on this machine."""

    def __init__(self, contents: Sequence[bytes], threads: int) -> None:
        self._models = [Model(content, threads) for content in contents]
        self._threads = threads

    def time(self, rounds: int, on_round: OnRound = lambda share: None) -> Timed:
        return time_models(self._models, self._threads, rounds, on_round)


def reference_content() -> bytes:
    """The smallest network of `mobile-32` at 32 pixels, for all spaces alike."""
    return network_model(SPACES.get("mobile-32").bind(32, 10).smallest())


def time_models(models: Sequence[Model], threads: int, rounds: int, on_round: OnRound = lambda share: None) -> Timed:
    """Let all models take their turns in so many rounds."""
    return time_beside(Model(reference_content(), threads), models, rounds, on_round)


def table_machine(threads: int, timed: Timed | None = None) -> TableMachine:
    """The machine that `timed` is of, as a device table names it; None: this one."""
    return TableMachine(
        processor=timed.processor if timed else processor_name(),
        threads=threads,
        onnxruntime=timed.onnxruntime if timed else onnxruntime.__version__,
        date=datetime.now(UTC).date().isoformat(),
    )
