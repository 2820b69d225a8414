"""The process that checks uploaded weights: `python -m worker.weight_check_process NAME FENCE TENANT`.

Its parent is the checker, which counts its crashes. It reads a file that is not trusted, within limited memory, and
without running code that may be in the file.
"""

from __future__ import annotations

import sys

from autonl_core.spec.weight_set import WeightSet
from store.checks import CheckLease
from store.errors import LeaseLost
from store.stores import Stores
from store.weight_sets import WeightSetEntry
from worker.check_progress import ProgressWriter
from worker.exit_codes import ExitCode, exit_with
from worker.process_context import process_context
from worker.retry import retry_while_unavailable


def main(lease: CheckLease) -> ExitCode:
    """Check the weight set and close its row."""
    with process_context(lambda settings: settings.check_memory_bytes) as context:
        try:
            check(context.stores, lease)
        except LeaseLost as lost:
            print(f"stopping: {lost}", file=sys.stderr)
            return ExitCode.LEASE_LOST
        return ExitCode.FINISHED


def check(stores: Stores, lease: CheckLease) -> None:
    """Check the weight set that `lease` stands for, and close its row. Raises LeaseLost."""
    from autonl_core.nn.weight_check import WeightsRefused  # loads torch: only once the lifeline is held

    stores = stores.of_tenant(lease.tenant_id)
    entry = retry_while_unavailable(lambda: stores.weight_checks.entry(lease))
    try:
        weights = _read(stores, lease, entry)
    except WeightsRefused as refused:
        problem = refused.problem
        retry_while_unavailable(lambda: stores.weight_checks.refuse(lease, [problem]))
    else:
        retry_while_unavailable(lambda: stores.weight_checks.accept(lease, weights))


def _read(stores: Stores, lease: CheckLease, entry: WeightSetEntry) -> WeightSet:
    from autonl_core.nn.weight_check import check_weights

    path = stores.weight_sets.files.file(entry.sha256)
    found = check_weights(path, entry.details, ProgressWriter(stores.weight_checks, lease))
    return WeightSet(
        name=entry.name,
        origin="uploaded",
        network=found.network,
        num_classes=found.arch.num_classes,
        resolution=found.arch.resolution,
        normalisation=found.normalisation,
        format=found.format,
        sha256=entry.sha256,
        size_bytes=entry.size_bytes,
        source=entry.details.source or found.source,
        licence=entry.details.licence,
        top1_pct=entry.details.top1_pct,
        given_arch=found.arch,
    )


if __name__ == "__main__":
    exit_with(lambda: main(CheckLease(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])))
