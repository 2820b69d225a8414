"""Searches on the second device: `python -m tests.autonl_core.second_device_searches PART ARGUMENTS`, both of JSON.

In a process of its own, as `second_device_steps.py`; prints a line of JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.utils._pytree import tree_leaves

from autonl_core.errors import Interrupted
from autonl_core.nn.checkpoint import load_checkpoint
from autonl_core.phases.searching import SupernetTraining
from autonl_core.spec.progress import Progress, StopRequest
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.super_block import SuperBlock
from autonl_core.training.trainer import Trainer
from tests.autonl_core.second_device import NAME, SecondTensor
from tests.autonl_core.second_device_steps import StepReads, labels_stay, said_by
from tests.autonl_core.small_searches import Recorder, search


class Observer(Recorder):
    """Counts the tensors that are left on the second device when a phase begins."""

    def __init__(self) -> None:
        super().__init__()
        self.left: dict[str, int] = {}

    def progress(self, progress: Progress) -> None:
        if progress.phase not in self.left:
            self.left[progress.phase] = sum(type(one) is SecondTensor for one in gc.get_objects())
        super().progress(progress)


def whole(device: str, **asked: Any) -> dict[str, Any]:
    """A whole search; `asked`: as of `search`."""
    reads, recorder = StepReads(), Observer()
    with tempfile.TemporaryDirectory() as folder, counted(reads):
        result = search(Path(folder, "work"), Path(folder, "cache"), recorder=recorder, device=device, **asked)
        state = torch.load(recorder.states[-1].path, weights_only=True)
        sizes = {kind: file.size_bytes for kind, file in result.files.items()}
    return {
        **reads.to_json(),
        "weights": result.weights_sha256,
        "top1_pct": result.architecture.test_top1_pct,
        "macs": result.architecture.macs,
        "files": sizes,
        "losses": [values["loss"] for _, _, values in recorder.points if "loss" in values],
        "phases": recorder.phases,
        "left": recorder.left,
        "device": state["environment"]["device"],
    }


def interrupted(stop_at: int, request: StopRequest, **asked: Any) -> dict[str, Any]:
    """A search that is stopped when it was asked so many times, and goes on from its run state."""
    recorder = Recorder(stop_at, request)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "cache")
        try:
            search(Path(folder, "1"), cache, recorder=recorder, device=NAME, **asked)
            reason = ""
        except Interrupted as stopped:
            reason = stopped.reason
        kept = [load_checkpoint(path).arch.arch_id == record.arch_id for record, path in recorder.kept]
        state = torch.load(recorder.states[-1].path, weights_only=True)
        result = search(Path(folder, "2"), cache, resume_from=recorder.states, device=NAME, **asked)
    return {
        "reason": reason,
        "phase": recorder.phases[-1],
        "kept": kept,
        "devices": sorted({leaf.device.type for leaf in tree_leaves(state) if isinstance(leaf, torch.Tensor)}),
        "weights": result.weights_sha256,
    }


def planted(what: str, **asked: Any) -> dict[str, Any]:
    """What a search says that has one of its tensors on the CPU."""
    with PLANTS[what]():
        return {"said": said_by(lambda: whole(NAME, **asked))}


def _tables_stay() -> AbstractContextManager[Any]:
    return mock.patch.object(GateTable, "_tables_on", lambda table, device: table._padded())


@contextmanager
def _cores_stay() -> Iterator[None]:
    """Masks of kernels are no buffers of their modules, which would move them."""

    def register(block: SuperBlock, name: str, tensor: torch.Tensor, persistent: bool = True) -> None:
        object.__setattr__(block, name, tensor)

    with mock.patch.object(SuperBlock, "register_buffer", register):
        yield


PLANTS: Mapping[str, Callable[[], AbstractContextManager[Any]]] = {
    "labels": labels_stay,
    "tables of gates": _tables_stay,
    "masks of kernels": _cores_stay,
}


@contextmanager
def counted(reads: StepReads) -> Iterator[None]:
    """Counts what the host reads in steps of every training meanwhile."""
    with (
        mock.patch.object(SupernetTraining, "run_epoch", reads.watching(SupernetTraining.run_epoch)),
        mock.patch.object(Trainer, "run_epoch", reads.watching(Trainer.run_epoch)),
    ):
        yield


PARTS: Mapping[str, Callable[..., dict[str, Any]]] = {"whole": whole, "interrupted": interrupted, "planted": planted}

if __name__ == "__main__":
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    print(json.dumps(PARTS[sys.argv[1]](**json.loads(sys.argv[2]))))
