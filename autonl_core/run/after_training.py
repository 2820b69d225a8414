"""How a search lets go of what it no longer needs: first of all that only learning needs, then of its GPU."""

from __future__ import annotations

import gc
from dataclasses import replace

import torch

from autonl_core.data.batches import Loader
from autonl_core.nn.network import Network
from autonl_core.run.search_run import SearchRun

_CPU = torch.device("cpu")


def after_training(run: SearchRun) -> SearchRun:
    """The same run with batches that no teacher labels: from here on images are only recognised."""
    return replace(run, loader=_plain_loader(run, run.device))


def on_cpu(run: SearchRun, network: Network) -> SearchRun:
    """The same run, with its batches, its teacher and `network` on the CPU and nothing of them on the GPU.

    `run.device` still says where it was trained. A process that has used CUDA keeps a context on the GPU until it ends.
    """
    if run.device == _CPU:
        return run
    network.cpu()
    if run.adapted is not None:
        run.adapted.teacher.cpu()
    run.table.leave_devices()
    run = replace(run, loader=_plain_loader(run, _CPU))
    gc.collect()  # cycles may hold tensors
    if run.device.type == "cuda":
        torch.cuda.empty_cache()
    return run


def _plain_loader(run: SearchRun, device: torch.device) -> Loader:
    source = run.loader
    return Loader(source.data, device, source.seed, source.augmentation)
