"""Whether the delivered network keeps to its limit of latency: by the device table, and as it is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autonl_core.errors import VerificationError
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config_sections import Constraints
from autonl_core.spec.device_table import NS_PER_MS, DeviceTable
from autonl_core.spec.result import LatencyCheck

ROUNDS = 40


def check_latency(
    onnx_file: Path, arch: ArchSpec, constraints: Constraints, between: Callable[[], None] = lambda: None
) -> LatencyCheck | None:
    """Predict the latency of the network, and measure it if this machine is the device; None: it is not limited.

    Raises:
        VerificationError: the prediction exceeds the limit.
    """
    table, at_most_ms = constraints.table, constraints.latency_ms
    if table is None or at_most_ms is None:
        return None
    predicted_ms = table.network_ns(arch) / NS_PER_MS
    if predicted_ms > at_most_ms:
        raise VerificationError(f"{predicted_ms:.3f} ms by the device table exceed constraints.latency_ms {at_most_ms}")
    reason = _not_measured(table)
    measured_ms = None if reason else round(measured_ns(onnx_file, table, ROUNDS, between) / NS_PER_MS, 4)
    return LatencyCheck(table.device, table.sha256, at_most_ms, round(predicted_ms, 4), measured_ms, reason)


def measured_ns(onnx_file: Path, table: DeviceTable, rounds: int, between: Callable[[], None] = lambda: None) -> int:
    """Nanoseconds of one image with this file, beside the reference of the table, so that the two compare."""
    from autonl_core.device_table.timer import Model  # loads runtimes, which few searches need here
    from autonl_core.device_table.timing import time_models

    threads = table.machine.threads
    timed = time_models([Model(onnx_file.read_bytes(), threads)], threads, rounds, lambda share: between())
    return timed.times_ns(table.reference_ns)[0]


def _not_measured(table: DeviceTable) -> str | None:
    """Why a measurement here says nothing of the device; None: this machine is the device, as far as it can tell."""
    from autonl_core.device_table.timing import table_machine

    device, here = table.machine, table_machine(table.machine.threads)
    if device.processor != here.processor:
        return f"it was exported on another machine ({here.processor})"
    if device.onnxruntime != here.onnxruntime:
        return f"it was exported with onnxruntime {here.onnxruntime}"
    return None
