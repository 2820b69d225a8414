"""The process that checks uploaded weights: `python -m worker.weight_check_process NAME FENCE TENANT`.

Its parent is the checker, which counts its crashes. It has the file, which is not trusted, read by a confined process,
within limited memory and time, and without running code that may be in the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from autonl_core.host.confinement import FileAccess
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.weight_set import Normalisation, WeightProblem, WeightSet
from store.checks import CheckLease
from store.errors import LeaseLost
from store.stores import Stores
from store.weight_sets import WeightSetEntry
from worker.check_progress import ProgressWriter
from worker.confined_process import S_PER_BYTE, ConfinedProcess, ConfinedProcessEnded, OutOfTime
from worker.exit_codes import ExitCode, exit_with
from worker.process_context import process_context
from worker.retry import retry_while_unavailable

_MODULE = "autonl_core.nn.confined_weight_check"


def main(lease: CheckLease) -> ExitCode:
    """Check the weight set and close its row."""
    with process_context(lambda settings: settings.check_memory_bytes) as context:
        try:
            check(context.stores, lease)
        except LeaseLost as lost:
            print(f"stopping: {lost}", file=sys.stderr)
            return ExitCode.LEASE_LOST
        except ConfinedProcessEnded as ended:
            ended.end_alike()
        return ExitCode.FINISHED


def check(stores: Stores, lease: CheckLease) -> None:
    """Check the weight set that `lease` stands for, and close its row. Raises LeaseLost."""
    stores = stores.of_tenant(lease.tenant_id)
    entry = retry_while_unavailable(lambda: stores.weight_checks.entry(lease))
    try:
        result = _confined(stores, lease, entry)
        problem = None if result["problem"] is None else WeightProblem.from_json(result["problem"])
    except OutOfTime as error:
        problem = WeightProblem("check_took_too_long", str(error))
    if problem is not None:
        refused = [problem]
        retry_while_unavailable(lambda: stores.weight_checks.refuse(lease, refused))
    else:
        weights = _weight_set(entry, result["found"])
        retry_while_unavailable(lambda: stores.weight_checks.accept(lease, weights))


def _confined(stores: Stores, lease: CheckLease, entry: WeightSetEntry) -> Mapping[str, Any]:
    """Have the file read by a confined process. Raises OutOfTime and ConfinedProcessEnded."""
    settings = stores.settings
    path = stores.weight_sets.files.file(entry.sha256)
    on_progress = ProgressWriter(stores.weight_checks, lease)
    access = FileAccess(hidden=settings.own_data, shown=[path] if path.exists() else [])
    with ConfinedProcess(_MODULE, access, settings.check_time_s + entry.size_bytes * S_PER_BYTE) as process:
        process.limited_for = f"a file of {entry.size_bytes:,} bytes"
        task = json.dumps({"path": str(path), "details": entry.details.to_json()}).encode() + b"\n"
        return process.run(task, lambda _kind, share: on_progress(float(share)))


def _weight_set(entry: WeightSetEntry, found: Mapping[str, Any]) -> WeightSet:
    arch = ArchSpec.from_json(found["arch"])
    return WeightSet(
        name=entry.name,
        origin="uploaded",
        network=found["network"],
        num_classes=arch.num_classes,
        resolution=arch.resolution,
        normalisation=Normalisation.from_json(found["normalisation"]),
        format=found["format"],
        sha256=entry.sha256,
        size_bytes=entry.size_bytes,
        source=entry.details.source or found["source"],
        licence=entry.details.licence,
        top1_pct=entry.details.top1_pct,
        given_arch=arch,
    )


if __name__ == "__main__":
    exit_with(lambda: main(CheckLease(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
