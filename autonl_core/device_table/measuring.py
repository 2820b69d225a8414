"""From a search space to the device table of a machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autonl_core.device_table import ROUNDS
from autonl_core.device_table.calibration import calibration_networks, fit
from autonl_core.device_table.parts import block_model, empty_model, ends_model, network_model, stem_model
from autonl_core.device_table.timer import OnRound, Timed
from autonl_core.device_table.timing import OwnTimer, Timer, table_machine
from autonl_core.errors import DeviceTableError
from autonl_core.spec import arch_string
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.device_table import Calibration, CalibrationNetwork, DeviceTable, distinct_blocks
from autonl_core.spec.space_families import SpaceFamily

CLASSES = (10, 100, 1000)  # of which ends are timed; times for others lie on lines between them
FITTED, HELD_OUT = 10, 5  # networks
_EMPTY, _STEM = "empty", "stem"


@dataclass(frozen=True)
class Measurement:
    """Models that are ready to be timed: parts of the networks of a space, and whole ones.

    Args:
        parts: their names, in the order of the models, which those of the networks follow.
    """

    family: SpaceFamily
    resolution: int
    threads: int
    parts: Sequence[str]
    networks: Sequence[ArchSpec]
    timer: Timer

    @staticmethod
    def prepare(
        family: SpaceFamily,
        resolution: int,
        threads: int,
        make_timer: Callable[[Sequence[bytes], int], Timer] = OwnTimer,
    ) -> Measurement:
        """Make all models and hand them to a timer.

        Raises:
            SpaceError: the space does not serve the resolution.
            DeviceTableError: the machine of the timer cannot be reached.
        """
        spaces = family.with_every_head(resolution, CLASSES[0])
        contents = {_EMPTY: empty_model(), _STEM: stem_model(spaces[0])}
        for space in spaces:
            for classes in CLASSES:
                contents[_ends(space.head_channels, classes)] = ends_model(space, space.head_channels, classes)
        for key, (block, in_size) in distinct_blocks(spaces[0]).items():
            contents[key] = block_model(block, in_size, family.padding)
        networks = calibration_networks(spaces, FITTED + HELD_OUT)
        timer = make_timer([*contents.values(), *map(network_model, networks)], threads)
        return Measurement(family, resolution, threads, tuple(contents), tuple(networks), timer)

    @property
    def models(self) -> int:
        return len(self.parts) + len(self.networks)

    def round_s(self) -> float:
        """How long one round takes, by a first one, which also warms up. Raises DeviceTableError as `run` does."""
        began = time.perf_counter()
        self.timer.time(1)
        return time.perf_counter() - began

    def run(self, rounds: int = ROUNDS, on_round: OnRound = lambda share: None) -> DeviceTable:
        """Time everything, and calibrate.

        Raises:
            DeviceTableError: whole networks take nothing like the sum of their parts, or the machine went away.
        """
        timed = self.timer.time(rounds, on_round)
        measured = timed.times_ns()
        parts_ns = dict(zip(self.parts, measured, strict=False))
        idle_ns = parts_ns[_EMPTY]
        own_ns = {name: max(0, took - idle_ns) for name, took in parts_ns.items()}
        networks_ns = dict(zip(self.networks, measured[len(self.parts) :], strict=True))
        return self._calibrated(self._table(own_ns, timed), networks_ns)

    def _table(self, own_ns: dict[str, int], timed: Timed) -> DeviceTable:
        spaces = self.family.with_every_head(self.resolution, CLASSES[0])
        return DeviceTable(
            machine=table_machine(self.threads, timed),
            space=self.family.name,
            resolution=self.resolution,
            reference_ns=timed.reference_ns,
            stem_ns=own_ns[_STEM],
            ends_ns={
                str(space.head_channels): {
                    str(classes): own_ns[_ends(space.head_channels, classes)] for classes in CLASSES
                }
                for space in spaces
            },
            blocks_ns={key: own_ns[key] for key in distinct_blocks(spaces[0])},
            calibration=Calibration(overhead_ns=0, scale=1, networks=()),
        )

    def _calibrated(self, table: DeviceTable, networks_ns: dict[ArchSpec, int]) -> DeviceTable:
        archs = list(networks_ns)
        held_out = set(archs[1:-1:3][:HELD_OUT])
        fitted = [arch for arch in archs if arch not in held_out]
        sums_ns = [float(table.network_ns(arch)) for arch in fitted]
        overhead_ns, scale = fit(sums_ns, [networks_ns[arch] for arch in fitted])
        table = table.model_copy(update={"calibration": Calibration(overhead_ns=overhead_ns, scale=scale, networks=())})
        if table.network_ns(min(archs, key=table.network_ns)) <= 0:
            raise DeviceTableError(
                "by their blocks, small networks would take no time: other work disturbed the measurement; "
                f"{table.remeasure()}"
            )
        found = tuple(
            CalibrationNetwork(
                arch_string=arch_string.encode(arch),
                measured_ns=took,
                predicted_ns=table.network_ns(arch),
                held_out=arch in held_out,
            )
            for arch, took in networks_ns.items()
        )
        calibration = table.calibration.model_copy(update={"networks": found})
        return table.model_copy(update={"calibration": calibration})


def _ends(head_channels: int, classes: int) -> str:
    return f"ends of {head_channels} channels and {classes} classes"
