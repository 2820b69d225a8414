"""How long ONNX models take on a machine: one image, float32, on the CPU; by pairs, so that other work matters less.

On a machine that others use too, a run may take twice as long as the one before, and long runs are never undisturbed.
So every run is timed between runs of a small *reference* model, and the sum of a model's times is divided by that of
its neighbours': what slows the machine down slows both. The times are these ratios, in units of the fastest runs of
the reference. All models take turns in every round, so that drift hits all alike.

The clock of a single thread stands still while other processes have its CPU. Several threads take the clock on the
wall, so they need a machine that does nothing else.

This module needs nothing but Python, numpy and onnxruntime, and of this project only names of processors: it is sent to
other machines, with the models (`over_ssh.py`).
"""

from __future__ import annotations

import json
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import onnxruntime

from autonl_core.host.cpus import processor_name

REFERENCE = "reference.onnx"  # in the archive that is sent, beside 0.onnx, 1.onnx, ...
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
    """What was measured, and on which machine.

    Args:
        shares: of every model, its time in times of the reference.
        reference_ns: of the reference, undisturbed.
        onnxruntime: its version.
    """

    shares: Sequence[float]
    reference_ns: int
    processor: str
    onnxruntime: str

    def times_ns(self, reference_ns: int | None = None) -> list[int]:
        """Of every model, by another measurement of the reference if one is given."""
        return [round(share * (reference_ns or self.reference_ns)) for share in self.shares]


def time_beside(reference: Model, models: Sequence[Model], rounds: int, on_round: OnRound) -> Timed:
    """Let all models take their turns in so many rounds."""
    own, beside = np.zeros(len(models)), np.zeros(len(models))
    undisturbed: list[int] = []
    for done in range(rounds):
        for place, model in enumerate(models):
            before, runs, after = reference.runs_ns(1), model.runs_ns(_RUNS), reference.runs_ns(1)
            own[place] += sum(runs) / len(runs)
            beside[place] += (before[0] + after[0]) / 2
            undisturbed += (before[0], after[0])
        on_round((done + 1) / rounds)
    return Timed(
        shares=[float(share) for share in own / beside],
        reference_ns=round(float(np.percentile(undisturbed, _UNDISTURBED_PCT))),
        processor=processor_name(),
        onnxruntime=onnxruntime.__version__,
    )


def main(archive: str, threads: int, rounds: int) -> None:
    """Time the models of `archive`; every line that is printed is JSON: shares that are done, then a Timed."""
    with zipfile.ZipFile(archive) as sent:
        reference = Model(sent.read(REFERENCE), threads)
        count = sum(name.endswith(".onnx") for name in sent.namelist()) - 1
        models = [Model(sent.read(f"{place}.onnx"), threads) for place in range(count)]
    timed = time_beside(reference, models, rounds, lambda share: _say({"done": share}))
    _say(asdict(timed))


def _say(content: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()
