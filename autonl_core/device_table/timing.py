"""How long ONNX models take on this machine: one image, float32, on the CPU; by pairs, so that other work matters less.

On a machine that others use too, a run may take twice as long as the one before, and long runs are never undisturbed.
So every run is timed between runs of a small *reference* model, and the sum of a model's times is divided by that of
its neighbours': what slows the machine down slows both. The times are these ratios, in units of the fastest runs of
the reference. All models take turns in every round, so that drift hits all alike.

The clock of a single thread stands still while other processes have its CPU. Several threads take the clock on the
wall, so they need a machine that does nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import onnxruntime

from autonl_core.device_table.parts import network_model
from autonl_core.host.cpus import processor_name
from autonl_core.spec.device_table import TableMachine
from autonl_core.spec.space_families import SPACES

_RUNS = 3  # of a model in a turn, after one that warms up
_UNDISTURBED_PCT = 1  # of the runs of the reference, the fastest

OnRound = Callable[[float], None]  # gets the share that is done


class Model:
    """An ONNX model with one input of a fixed shape but for the batch, ready to run on one image of noise."""

    def __init__(self, content: bytes, threads: int) -> None:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
        settings.add_session_config_entry("session.force_spinning_stop", "1")  # as `export.formats.onnx` opens files
        self._session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
        self._clock = time.thread_time_ns if threads == 1 else time.perf_counter_ns
        (given,) = self._session.get_inputs()
        noise = np.random.default_rng(0).standard_normal((1, *given.shape[1:])).astype(np.float32)
        self._feed = {given.name: noise}

    def runs_ns(self, count: int) -> list[int]:
        """Of so many runs, after one that warms up."""
        self._session.run(None, self._feed)
        return [self._run_ns() for _ in range(count)]

    def _run_ns(self) -> int:
        began = self._clock()
        self._session.run(None, self._feed)
        return self._clock() - began


@dataclass(frozen=True)
class Timed:
    """What was measured.

    Args:
        shares: of every model, its time in times of the reference.
        reference_ns: of the reference, undisturbed.
    """

    shares: Sequence[float]
    reference_ns: int

    def times_ns(self, reference_ns: int | None = None) -> list[int]:
        """Of every model, by another measurement of the reference if one is given."""
        return [round(share * (reference_ns or self.reference_ns)) for share in self.shares]


def reference_model(threads: int) -> Model:
    """The smallest network of `mobile-32` at 32 pixels, for all spaces alike."""
    return Model(network_model(SPACES.get("mobile-32").bind(32, 10).smallest()), threads)


def time_models(models: Sequence[Model], threads: int, rounds: int, on_round: OnRound = lambda share: None) -> Timed:
    """Let all models take their turns in so many rounds."""
    reference = reference_model(threads)
    own, beside = np.zeros(len(models)), np.zeros(len(models))
    undisturbed: list[int] = []
    for done in range(rounds):
        for place, model in enumerate(models):
            before, runs, after = reference.runs_ns(1), model.runs_ns(_RUNS), reference.runs_ns(1)
            own[place] += sum(runs) / len(runs)
            beside[place] += (before[0] + after[0]) / 2
            undisturbed += (before[0], after[0])
        on_round((done + 1) / rounds)
    return Timed([float(share) for share in own / beside], round(float(np.percentile(undisturbed, _UNDISTURBED_PCT))))


def table_machine(threads: int) -> TableMachine:
    """This machine, as a device table names it."""
    return TableMachine(
        processor=processor_name(),
        threads=threads,
        onnxruntime=onnxruntime.__version__,
        date=datetime.now(UTC).date().isoformat(),
    )
