"""Networks of `cuda_path`: the same numbers as on the CPU, memory that really runs out, and the time of a step."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.data.augment import Augmentation
from autonl_core.data.batches import Loader
from autonl_core.data.decoding_report import DecodingReport
from autonl_core.data.pixels import CachedPixels
from autonl_core.data.prepare import ImageSet, PreparedData
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.host.memory import return_freed_memory
from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.nn.network import Network, build_network
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.config_sections import TrainConfig
from autonl_core.spec.space_families import get_space
from autonl_core.spec.zoo import adapt, find_net
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.learner import ALGORITHMS
from autonl_core.supernet.supernet import Supernet
from autonl_core.training.micro_batches import MAX_PARTS, MicroBatches
from autonl_core.training.optim import WeightAverage, make_optimizer
from autonl_core.training.parts import BatchParts
from autonl_core.training.precision import in_full_precision
from autonl_core.training.trainer import Trainer
from benchmarks.device_part import Found, Setting
from benchmarks.harness import say

CLASSES = 10
WORSE_THAN_CPU = 10.0  # times the CPU's own error in float32, or LEAST_ERROR, is what a device may be off by
LEAST_ERROR = 1e-5
_NEARLY_NOTHING = 1e-3  # of the largest gradient: smaller ones are all rounding, and compared with this
_LIMIT_SHARE = 0.7  # of the memory that a step takes: then it has to be computed in parts
_CHANNEL = (0.5, 0.5, 0.5)


class _Gated(nn.Module):
    """A supernet whose gates are its own parameters, half open."""

    def __init__(self, table: GateTable) -> None:
        super().__init__()
        self.supernet = Supernet(table, seed=0)
        rng = torch.Generator().manual_seed(2)
        self.gates = nn.Parameter(torch.rand(len(table.gates), generator=rng) * 0.6 + 0.2)

    def forward(self, x: Tensor) -> Tensor:
        return self.supernet.forward_gated(x, self.gates)


def check_parity(setting: Setting) -> Found:
    """Logits, gradients and running statistics of one training step, against the CPU's in float64."""
    table = GateTable(get_space("mobile-32", 32, CLASSES))
    subjects: dict[str, tuple[nn.Module, int, int]] = {  # module, batch size, resolution
        "autonl_s": (build_network(_autonl_s(setting), seed=0), 8, _autonl_s(setting).resolution),
        "mobile-32": (build_network(table.space.largest(), seed=0), 32, 32),
        "gated supernet": (_Gated(table), 32, 32),
    }
    facts: dict[str, object] = {}
    problems = []
    for name, (module, batch, resolution) in subjects.items():
        _open_light_nl(module)
        errors = _errors(module, setting.device, *_random_batch(batch, resolution))
        facts[name] = errors
        say(f"[parity] {name}: {json.dumps(errors)}")
        for kind in ("logits", "gradients", "statistics"):
            error, on_cpu = errors[kind], errors[f"{kind}_of_cpu"]
            if not error <= WORSE_THAN_CPU * max(on_cpu, LEAST_ERROR):
                problems.append(f"{name}: {kind} differ by {error:.2g}, those of the CPU in float32 by {on_cpu:.2g}")
    return Found(facts, tuple(problems))


def _errors(module: nn.Module, device: str, x: Tensor, y: Tensor) -> dict[str, float]:
    """The largest relative differences to the CPU in float64: of `device`, and of the CPU, in float32."""
    exact = _step(copy.deepcopy(module).double(), x.double(), y)
    found = {}
    for suffix, where in (("", device), ("_of_cpu", "cpu")):
        with in_full_precision():
            step = _step(copy.deepcopy(module).to(where), x.to(where), y.to(where))
        for kind, tensors in step.items():
            largest = max(float(b.norm()) for b in exact[kind].values())
            off = {
                name: float((a - b).norm()) / max(float(b.norm()), _NEARLY_NOTHING * largest)
                for (name, a), b in zip(tensors.items(), exact[kind].values(), strict=True)
            }
            found[f"{kind}{suffix}"] = max(off.values(), default=0.0)
    return found


def _step(module: nn.Module, x: Tensor, y: Tensor) -> dict[str, dict[str, Tensor]]:
    """Forward and backward in training mode: everything that comes out of it, float64 on the CPU."""
    logits = module.train()(x)
    F.cross_entropy(logits, y).backward()
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    statistics_of = {name: b for name, b in module.named_buffers() if "running" in name}
    found = {"logits": {"logits": logits}, "gradients": gradients, "statistics": statistics_of}
    return {kind: {name: t.detach().cpu().double() for name, t in of.items()} for kind, of in found.items()}


def _open_light_nl(module: nn.Module) -> None:
    """LightNL begins as the identity, and would show nothing."""
    for layer in module.modules():
        if isinstance(layer, LightNL):
            nn.init.constant_(layer.norm.weight, 0.5)


def check_memory(setting: Setting) -> Found:
    """A training step gets less memory than it takes: it is computed in parts, and training goes on."""
    arch, batch = _autonl_s(setting), 16 if setting.small else 64
    splits: list[int] = []
    trainer = _trainer(setting, arch, batch, MicroBatches(on_split=splits.append))
    steps = trainer.run_epoch()
    next(steps)
    with _less_memory(setting, trainer, batch) as facts:
        next(steps)
        facts["parts_after"] = list(splits)
        next(steps)  # in parts from the start, or in even more
    metrics = trainer.take_epoch_metrics()
    facts |= {"parts": trainer.parts.micro_batches.parts, "loss": metrics["loss"]}
    say(f"[memory] {json.dumps(facts)}")
    problems = []
    if not splits or trainer.parts.micro_batches.parts > MAX_PARTS:
        problems.append(f"memory that ran out led to {trainer.parts.micro_batches.parts} parts")
    if not math.isfinite(metrics["loss"]):
        problems.append("a loss is not finite")
    return Found(facts, tuple(problems))


@contextlib.contextmanager
def _less_memory(setting: Setting, trainer: Trainer, batch: int) -> Iterator[dict[str, object]]:
    """Less than the steps so far took; on a CPU, the error that a GPU would raise, for more than half a batch."""
    if setting.small:

        def refuse(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if len(inputs[0]) > batch // 2:
                raise torch.OutOfMemoryError("CUDA out of memory")

        handle = trainer.network.register_forward_pre_hook(refuse)
        yield {}
        handle.remove()
        return
    return_freed_memory()
    peak_bytes, total_bytes = torch.cuda.max_memory_allocated(), torch.cuda.get_device_properties(0).total_memory
    limit_bytes = round(_LIMIT_SHARE * peak_bytes)
    torch.cuda.set_per_process_memory_fraction(limit_bytes / total_bytes)
    try:
        yield {"peak_bytes": peak_bytes, "limit_bytes": limit_bytes}
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def measure_speed(setting: Setting) -> Found:
    """Training steps of two networks in three precisions, of the search, and of the training loop with its images."""
    facts: dict[str, object] = {}
    batch = 8 if setting.small else 256
    space = get_space("mobile-32", 32, CLASSES)
    for name, arch in (("autonl_s", _autonl_s(setting)), ("mobile-32", space.largest())):
        for precision in ("float32", "default", "bfloat16"):
            facts[f"{name}, {precision}"] = _timed_training_step(setting, arch, batch, precision)
            say(f"[speed] {name}, batch {batch}, {precision}: {json.dumps(facts[f'{name}, {precision}'])}")
            return_freed_memory()
    for name, step in _search_steps(setting, batch // 4):
        facts[f"{name}, batch {batch // 4}"] = {"ms": round(1000 * _median_s(setting, step), 2)}
        say(f"[speed] {name}: {json.dumps(facts[f'{name}, batch {batch // 4}'])}")
    trainer = _trainer(setting, _autonl_s(setting), batch, MicroBatches())
    list(trainer.run_epoch())  # warm
    began = time.perf_counter()
    list(trainer.run_epoch())  # every step waits for its loss
    facts["autonl_s, images/s of the training loop"] = round(len(trainer.images) / (time.perf_counter() - began))
    say(f"[speed] training loop: {facts['autonl_s, images/s of the training loop']} images/s")
    return Found(facts)


def _timed_training_step(setting: Setting, arch: ArchSpec, batch: int, precision: str) -> dict[str, float]:
    """`float32`: full; `default`: as torch does and searches train, convolutions in TF32; `bfloat16`: by autocast."""
    network = build_network(arch, seed=0).to(setting.device).train()
    x, y = (t.to(setting.device) for t in _random_batch(batch, arch.resolution))
    parameters = list(network.parameters())
    optimizer, average = (
        make_optimizer(network, "sgd", lr=0.01, momentum=0.9, weight_decay=1e-4),
        WeightAverage(parameters, 0.999),
    )

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(setting.device, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.cross_entropy(network(x), y, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        average.update(parameters)

    if not setting.small:
        torch.cuda.reset_peak_memory_stats()
    with in_full_precision() if precision == "float32" else contextlib.nullcontext():
        seconds = _median_s(setting, step)
    peak = {} if setting.small else {"peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)}
    return {"ms": round(1000 * seconds, 2), "images_per_s": round(batch / seconds), **peak}


def _search_steps(setting: Setting, batch: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Gradients of the weights, and of the gates, as each algorithm computes them on mobile-32."""
    table, rng = GateTable(get_space("mobile-32", 32, CLASSES)), np.random.default_rng(0)
    x, y = (t.to(setting.device) for t in _random_batch(batch, 32))
    for name in ("autonl", "autonl-paper"):
        config = SearchConfig.model_validate({"dataset": "random", "flops_budget": 4_500_000, "algorithm": name})
        learner = ALGORITHMS.get(name).make_learner(Supernet(table, seed=0).to(setting.device), config)
        yield f"{name}, weights", partial(learner.weight_step, x, y, rng, 1.0, BatchParts())
        if learner.slope_interval:
            yield f"{name}, gates", partial(learner.slope_step, x, y, rng, 1.0, BatchParts())


def _median_s(setting: Setting, step: Callable[[], object]) -> float:
    """Median seconds of a step, after some untimed ones."""
    warm_up, timed = (1, 2) if setting.small else (5, 20)
    seconds = []
    for number in range(warm_up + timed):
        _wait(setting)
        began = time.perf_counter()
        step()
        _wait(setting)
        if number >= warm_up:
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _wait(setting: Setting) -> None:
    if not setting.small:
        torch.cuda.synchronize()


def _autonl_s(setting: Setting) -> ArchSpec:
    arch = find_net("autonl_s").arch
    return adapt(arch, resolution=64, num_classes=CLASSES) if setting.small else replace(arch, num_classes=CLASSES)


def _random_batch(batch: int, resolution: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 3, resolution, resolution, generator=rng).contiguous(memory_format=torch.channels_last)
    return x, torch.randint(0, CLASSES, (batch,), generator=rng)


def _trainer(setting: Setting, arch: ArchSpec, batch: int, micro_batches: MicroBatches) -> Trainer:
    """A training of a fresh network on four batches of random images, with a shift and a flip."""
    path, rng, count = setting.folder / "random.npy", np.random.default_rng(0), 4 * batch
    np.save(path, rng.integers(0, 256, (count, arch.resolution, arch.resolution, 3), dtype=np.uint8))
    images = _image_set(path, rng.integers(0, CLASSES, count))
    report = DecodingReport(count, 0, (), _CHANNEL, _CHANNEL, DEFAULT_LIMITS)
    data = PreparedData(images, images, _CHANNEL, _CHANNEL, arch.resolution, report)
    loader = Loader(data, torch.device(setting.device), 0, Augmentation(flip=True, padding_px=4))
    network: Network = build_network(arch, seed=0).to(setting.device)
    config = TrainConfig(epochs=4, batch_size=batch, warmup_epochs=0, lr=0.01)
    parts = BatchParts(micro_batches=micro_batches)
    return Trainer(network, images, loader, config, "train", config.epochs, parts)


def _image_set(path: Path, labels: np.ndarray) -> ImageSet:
    return ImageSet(CachedPixels(path), labels.astype(np.int64), np.arange(len(labels), dtype=np.int64))
