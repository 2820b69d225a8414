"""A small real bundle, made once for all tests, since exporters take seconds."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autonl_core.bundle.build import make_bundle, pack_bundle
from autonl_core.bundle.bundle import Bundle
from autonl_core.bundle.files import model
from autonl_core.bundle.formats import prepare_graph
from autonl_core.datasets.spec import DIGITS, DatasetSpec
from autonl_core.export.graph import NetworkGraph
from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.nn.checkpoint import save_checkpoint
from autonl_core.nn.network import Network, build_network
from autonl_core.phases.preparing import open_run
from autonl_core.run.host_options import HostOptions
from autonl_core.run.search_run import SearchRun
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.formats import EXPORT_FORMATS, NETWORK_FORMAT_SPECS
from autonl_core.spec.macs import count_macs
from autonl_core.spec.progress import Silent
from autonl_core.spec.result import ResultFile
from autonl_core.spec.space_families import get_space
from autonl_core.training.evaluate import Score, evaluate, recalibrate_batch_norm

# What every worker can make. Those that need an extra have tests of their own, which run where it is installed.
WITHOUT_EXTRAS = tuple(name for name in EXPORT_FORMATS if NETWORK_FORMAT_SPECS[name].extra is None)


def lively(arch: ArchSpec, seed: int = 0) -> Network:
    """An untrained network in which every part has an effect: batch norms centre, scale and shift, LightNL adds."""
    network = build_network(arch, seed=seed).requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for layer in reversed(list(network.modules())):  # batch norms before the LightNL that they are in
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(layer.bias, -0.2, 0.2, generator=generator)
        elif isinstance(layer, LightNL):  # cubic in its input: several strong ones in a row would overflow
            layer.norm.weight.mul_(0.1)
    nn.init.normal_(network.classifier.weight, std=0.1, generator=generator)
    size = min(arch.resolution, 40)
    noise = torch.randn(8, 3, size, size, generator=generator)
    recalibrate_batch_norm(network, [(noise, torch.zeros(8))])
    return network.eval()


def plain(network: Network) -> model.Network:
    """The same network, built by the model.py of bundles."""
    rebuilt = model.Network(network.arch.to_json())
    rebuilt.load_state_dict(network.state_dict())
    return rebuilt.eval().requires_grad_(False)


def filled_graph(network: Network) -> NetworkGraph:
    """The graph of the same network, with its weights, for the formats that are made by default."""
    graph = prepare_graph(network.arch.to_json(), ("onnx", "onnx-int8", "pt2"))
    graph.fill(model.fuse(plain(network)).state_dict())
    return graph


def start(
    folder: Path, arch: ArchSpec, dataset: DatasetSpec = DIGITS, cache_dir: Path | None = None, **export: Any
) -> SearchRun:
    """A search that is about to export `arch`, which uses its whole budget.

    Args:
        cache_dir: for decoded images; by default, one in `folder`.
    """
    budget = count_macs(arch).total
    folder.mkdir(parents=True, exist_ok=True)
    return open_run(
        SearchConfig.model_validate({"dataset": dataset.name, "flops_budget": budget, "export": export}),
        dataset,
        folder,
        sink=Silent(),
        stop=Silent(),
        resume_from=(),
        host=HostOptions(save_steps=100),
        cache_dir=cache_dir or folder / "cache",
        dataset_report=None,
    )


@dataclass(frozen=True)
class Made:
    """A bundle, and what it was made from."""

    run: SearchRun
    network: Network
    checkpoint: Path
    score: Score
    bundle: Bundle
    files: Mapping[str, ResultFile]

    def copy(self, target: Path) -> Path:
        """A copy of its folder, for a test to damage."""
        shutil.copytree(self.bundle.folder, target)
        return target

    def start_again(self, folder: Path, **export: Any) -> SearchRun:
        """Another search that is about to export the same network; it reads the images that were decoded for this."""
        return start(folder, self.network.arch, cache_dir=self.run.work_dir / "cache", **export)


def finish(run: SearchRun, network: Network) -> Made:
    """Do what a search does at its end."""
    checkpoint = run.work_dir / "model.safetensors"
    save_checkpoint(checkpoint, network, run.dataset, run.data)
    score = evaluate(network, run.loader.plain(run.data.test))
    bundle = make_bundle(run, checkpoint, network, score)
    return Made(run, network, checkpoint, score, bundle, pack_bundle(run, bundle, network))


def make_all(folder: Path) -> Made:
    """A bundle of all formats without extras: squeeze-excite and LightNL, on digits; untrained, which makes no odds."""
    arch = get_space("tiny", 8, 10).largest()
    run = start(folder, arch, formats=WITHOUT_EXTRAS, int8_max_drop_points=100.0)
    network = lively(arch)
    recalibrate_batch_norm(network, run.loader.plain(run.data.train), 500)
    return finish(run, network.eval())
