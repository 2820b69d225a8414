"""Whether networks that are chosen within a limit of latency take as long as the device table says.

    python -m benchmarks.latency_limits --device-table table.json --out folder [--macs-too]

For ten limits between the fastest and the slowest network of the table's space, random utilities are projected into
the limit, as a search does it; with `--macs-too`, every second time into a limit of MACs that binds as well. The
networks are exported as the bundle has them, and timed in turns, each run between runs of the reference of the table
(`device_table/timing.py`). Beside that the table shows the median on the wall clock, which also has what other work on
the machine costs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from autonl_core.bundle.files import model
from autonl_core.bundle.formats import prepare_graph
from autonl_core.device_table.timer import Model
from autonl_core.device_table.timing import time_models
from autonl_core.export.formats.onnx import open_onnx, save_onnx
from autonl_core.spec import arch_string
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config_sections import Constraints
from autonl_core.spec.constraints import measures_of
from autonl_core.spec.device_table import NS_PER_MS, DeviceTable
from autonl_core.spec.macs import count_macs
from autonl_core.spec.search_space import SearchSpace
from autonl_core.spec.space_families import get_space
from autonl_core.supernet.budget import band_within, most_macs, project
from autonl_core.supernet.gates import GateTable
from autonl_core.supernet.utilities import gate_features
from benchmarks.table_format import table as markdown_table

LIMITS = 10
CLASSES = 10
ROUNDS = 80
_BINDING_SHARE = 0.9  # of the most MACs within the limit, where MACs are limited too
_WALL_RUNS = 30


@dataclass(frozen=True)
class Landed:
    """A network that was projected into a limit, and how long it takes."""

    limit_ms: float
    budget_macs: int
    macs: int
    arch_string: str
    predicted_ms: float
    measured_ms: float = 0.0
    wall_median_ms: float = 0.0

    @property
    def off_pct(self) -> float:
        return 100 * (self.predicted_ms / self.measured_ms - 1)

    @property
    def off_limit_pct(self) -> float:
        return 100 * (self.measured_ms / self.limit_ms - 1)


def limits_ms(table: DeviceTable, space: SearchSpace) -> list[float]:
    """Ten, evenly between the fastest and the slowest network of the space."""
    measure = measures_of(Constraints(latency_ms=1.0).on(table))["latency_ms"]
    fastest, slowest = measure.least_of(space), table.network_ns(_slowest(table, space))
    return [round((fastest + (slowest - fastest) * (place + 0.5) / LIMITS) / NS_PER_MS, 4) for place in range(LIMITS)]


def _slowest(table: DeviceTable, space: SearchSpace) -> ArchSpec:
    sizes = space.sizes
    return space.build(
        [
            max((option for option in choices.options() if option), key=lambda block: table.block_ns(block, size))
            for choices, size in zip(space.blocks, sizes, strict=False)
        ]
    )


def land(
    table: DeviceTable, space: SearchSpace, limit_ms: float, place: int, *, macs_too: bool
) -> tuple[ArchSpec, Landed]:
    """Random utilities, projected into the limit; perhaps, of every second place, also into a limit of MACs."""
    gates = GateTable(space, Constraints(latency_ms=limit_ms).on(table))
    budget_macs = space.macs_range()[1]
    if macs_too and place % 2:
        budget_macs = int(_BINDING_SHARE * gates.macs(most_macs(gates, budget_macs)))
    features, rng = gate_features(gates), np.random.default_rng(place)
    values = rng.multivariate_normal(np.zeros(len(features.covariance)), features.covariance, method="eigh")
    found = project(gates, features.scores(values), *band_within(gates, budget_macs))
    arch = gates.arch(found.choice)
    return arch, Landed(
        limit_ms, budget_macs, count_macs(arch).total, arch_string.encode(arch), table.network_ns(arch) / NS_PER_MS
    )


def export(arch: ArchSpec, path: Path) -> Path:
    """Write the ONNX file of a network with random weights, as a bundle has it; an earlier one is kept."""
    if not path.exists():
        torch.manual_seed(0)
        weights = model.fuse(model.Network(arch.to_json()).eval()).state_dict()
        graph = prepare_graph(arch.to_json(), [])
        graph.fill(weights)
        save_onnx(path, graph, {})
    return path


def wall_ms(path: Path, arch: ArchSpec, threads: int) -> float:
    """The median on the wall clock, in milliseconds."""
    run, x = open_onnx(path, threads), torch.randn(1, 3, arch.resolution, arch.resolution)
    taken = []
    for _ in range(_WALL_RUNS):
        began = time.perf_counter()
        run(x)
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def measure(table: DeviceTable, folder: Path, *, macs_too: bool) -> list[Landed]:
    space, threads = get_space(table.space, table.resolution, CLASSES), table.machine.threads
    limits = enumerate(limits_ms(table, space))
    landed = [land(table, space, limit_ms, place, macs_too=macs_too) for place, limit_ms in limits]
    paths = [export(arch, folder / f"{arch.arch_id}.onnx") for arch, _ in landed]
    timed = time_models([Model(path.read_bytes(), threads) for path in paths], threads, ROUNDS)
    measured_ms = [took / NS_PER_MS for took in timed.times_ns(table.reference_ns)]
    return [
        Landed(**{**asdict(one), "measured_ms": took_ms, "wall_median_ms": wall_ms(path, arch, threads)})
        for (arch, one), path, took_ms in zip(landed, paths, measured_ms, strict=True)
    ]


def show(landed: Sequence[Landed]) -> str:
    rows = [
        (
            f"{one.limit_ms:.3f}",
            f"{one.macs:,}",
            f"{one.predicted_ms:.3f}",
            f"{one.measured_ms:.3f}",
            f"{one.off_pct:+.1f}%",
            f"{one.off_limit_pct:+.1f}%",
            f"{one.wall_median_ms:.3f}",
        )
        for one in landed
    ]
    head = ("limit, ms", "MACs", "predicted", "measured", "predicted / measured", "measured / limit", "wall, median")
    return markdown_table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device-table", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for the networks and result.json")
    parser.add_argument("--macs-too", action="store_true", help="limit MACs as well, for every second network")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    table = DeviceTable.read(options.device_table)
    landed = measure(table, options.out, macs_too=options.macs_too)
    (options.out / "result.json").write_text(json.dumps([asdict(one) for one in landed], indent=1))
    print(table.device)
    print(show(landed))
    print(f"within 10% of the prediction: {sum(abs(one.off_pct) <= 10 for one in landed)} of {len(landed)}")
    print(f"within 10% of the limit: {sum(abs(one.off_limit_pct) <= 10 for one in landed)} of {len(landed)}")


if __name__ == "__main__":
    main()
