"""Measures one network, or LightNL, beside that of a peer, in a process of its own; started by `benchmarks.peers`.

All get equal weights. Before anything is timed, their outputs, and in training the gradient that arrives at the first
layer, must agree in double precision; outputs in single precision must agree on what is timed, too. A peer is measured
as it comes, with maps as (B, C, H, W), and once more moved to channels_last, the layout that ours uses.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.nn.network import Network, build_network, to_channels_last
from autonl_core.spec.arch import LightNLSpec
from autonl_core.spec.zoo import ZOO
from benchmarks import light_nl, peer_port, peer_timm
from benchmarks.harness import arguments, median_costs, say
from benchmarks.networks import training_step

SUBJECTS = (*peer_port.NETWORKS, *peer_timm.NETWORKS, "light_nl")
EVALUATED = ((1, 5), (32, 1))  # batch size, factor on rounds
TRAINED = ((224, 32, 1, 2), (32, 64, 3, 3))  # resolution, batch size, factor on rounds, timed calls in a turn
_CHECKED_BATCH = 4
_DOUBLE_TOLERANCE, _SINGLE_TOLERANCE = 1e-6, 1e-2  # relative to the largest value; the product of LightNL is cubic
_LIGHT_NL_SCALE = 0.1  # of its batch norm: at 0, where training starts, the block would not count

Peers = Callable[[int], nn.Module]  # resolution -> the peer's network


def measure_network(ours: Network, peer_at: Peers, rounds: int) -> list[dict[str, Any]]:
    """Every kind of run of one network."""
    _calibrate(ours)
    check(ours, peer_at)
    return [*_measure_evaluation(ours, peer_at, rounds), *_measure_training(ours, peer_at, rounds)]


def _calibrate(network: Network) -> None:
    """Running statistics of one batch, without which activations would grow or vanish from block to block."""
    for layer in network.modules():
        if isinstance(layer, LightNL):
            nn.init.constant_(layer.norm.weight, _LIGHT_NL_SCALE)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(8, 3, network.arch.resolution, network.arch.resolution))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def check(ours: Network, peer_at: Peers) -> None:
    """Raises RuntimeError if the peer's network is not the same, in evaluation or in training."""
    for resolution, *_ in TRAINED:
        double, peer = copy.deepcopy(ours).double(), peer_at(resolution).double()
        x = torch.randn(_CHECKED_BATCH, 3, resolution, resolution, dtype=torch.float64)
        evaluated = {"peer": peer.eval(), "ours": double.eval(), "ours, fused": double.fuse()}
        with torch.no_grad():
            require_equal({name: network(x) for name, network in evaluated.items()}, _DOUBLE_TOLERANCE)
        labels = torch.randint(0, ours.arch.num_classes, (_CHECKED_BATCH,))
        trained = {"peer": peer.train(), "ours": double.train()}
        gradients = {name: _first_gradient(network, x, labels) for name, network in trained.items()}
        require_equal(gradients, _DOUBLE_TOLERANCE)


@torch.no_grad()
def _measure_evaluation(ours: Network, peer_at: Peers, rounds: int) -> list[dict[str, Any]]:
    resolution = ours.arch.resolution
    networks = {**_both_layouts(peer_at(resolution).eval()), "ours": ours.eval(), "ours, fused": ours.fuse()}
    rows = []
    for batch, factor in EVALUATED:
        x = torch.randn(batch, 3, resolution, resolution)
        require_equal({name: network(x) for name, network in networks.items()}, _SINGLE_TOLERANCE)
        costs = median_costs({name: partial(network, x) for name, network in networks.items()}, factor * rounds)
        rows.append({"what": "forward", "batch": batch, "resolution": resolution, **costs})
    return rows


def _measure_training(ours: Network, peer_at: Peers, rounds: int) -> list[dict[str, Any]]:
    rows = []
    for resolution, batch, factor, timed_calls in TRAINED:
        networks = {**_both_layouts(peer_at(resolution)), "ours": ours}
        x, labels = torch.randn(batch, 3, resolution, resolution), torch.randint(0, ours.arch.num_classes, (batch,))
        steps = {name: training_step(network.train(), x, labels) for name, network in networks.items()}
        costs = median_costs(steps, factor * rounds, timed_calls=timed_calls)
        rows.append({"what": "training step", "batch": batch, "resolution": resolution, **costs})
    return rows


def _first_gradient(network: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    network.zero_grad()
    F.cross_entropy(network(x), labels).backward()
    gradient = next(network.parameters()).grad
    assert gradient is not None
    return gradient


def measure_light_nl(port: Path, rounds: int) -> list[dict[str, Any]]:
    """Forward and backward of the block alone, on the shapes of `benchmarks.light_nl`."""
    rows = []
    for channels, size, nl_ratio, nl_stride in light_nl.SHAPES:
        spec = LightNLSpec(nl_ratio, nl_stride, "aspect")
        ours = LightNL(channels, spec).train()
        nn.init.constant_(ours.norm.weight, _LIGHT_NL_SCALE)
        blocks = {**_both_layouts(peer_port.port_light_nl(port, ours, channels, spec).train()), "ours": ours}
        x, upstream = torch.randn(2, light_nl.BATCH_SIZE, channels, size, size)
        inputs = {name: _laid_out(x, name).requires_grad_() for name in blocks}
        require_equal({name: block(inputs[name]).detach() for name, block in blocks.items()}, _SINGLE_TOLERANCE)
        steps = {
            name: light_nl.block_step(block, inputs[name], _laid_out(upstream, name)) for name, block in blocks.items()
        }
        for step in steps.values():
            step()
        require_equal({name: _gradient_of(inputs[name]) for name in blocks}, _SINGLE_TOLERANCE)
        costs = median_costs(steps, 4 * rounds)
        rows.append({"channels": channels, "size": size, "nl_ratio": nl_ratio, "nl_stride": nl_stride, **costs})
    return rows


def _gradient_of(x: Tensor) -> Tensor:
    assert x.grad is not None
    return x.grad


def _laid_out(x: Tensor, candidate: str) -> Tensor:
    """A copy of x in the layout that the candidate works in."""
    return x.clone(memory_format=torch.contiguous_format if candidate == "peer" else torch.channels_last)


def _both_layouts(peer: nn.Module) -> dict[str, nn.Module]:
    return {"peer": peer, "peer, channels_last": to_channels_last(copy.deepcopy(peer))}


def require_equal(found: Mapping[str, Tensor], tolerance: float) -> None:
    """Raises RuntimeError if one of the results differs from the peer's, relative to its largest, by more than that."""
    expected = found["peer"]
    for name, one in found.items():
        error = float((one - expected).abs().max() / expected.abs().max())
        if not error < tolerance:  # nor where it is no number
            raise RuntimeError(f"{name} differs from the peer by {error:.1e}; {tolerance:.0e} is allowed")


def measure(subject: str, path: Path, rounds: int) -> list[dict[str, Any]]:
    """Measure a subject beside the peer at `path`."""
    if subject == "light_nl":
        return measure_light_nl(path, rounds)
    of_port = subject in peer_port.NETWORKS
    ours = build_network(peer_port.arch_of_port(subject) if of_port else ZOO[subject].arch, seed=0)
    if of_port:
        return measure_network(ours, partial(peer_port.port_network, path, subject, ours), rounds)
    return measure_network(ours, lambda _: peer_timm.timm_network(path, subject, ours), rounds)


def main() -> int:
    options = arguments(__doc__, rounds=4, only=SUBJECTS, takes_path=True)
    torch.manual_seed(0)
    say(json.dumps(measure(options.only, options.path, options.rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
