"""The budget certificate: the exported graph is within the budget, by a count that shares no code with the search."""

from __future__ import annotations

from pathlib import Path

from autonl_core.bundle.onnx_macs import count_onnx_macs
from autonl_core.errors import VerificationError
from autonl_core.export.onnx_age import opset_of
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.macs import COUNTING_RULE, count_macs
from autonl_core.spec.result import Certificate


def certify(onnx_file: Path, arch: ArchSpec, budget_macs: int) -> Certificate:
    """Count the MACs of the graph in `onnx_file`.

    Raises:
        VerificationError: the count differs from the analytic one, or exceeds the budget.
    """
    by_op = count_onnx_macs(onnx_file, arch.resolution)
    achieved, analytic = sum(by_op.values()), count_macs(arch).total
    if achieved != analytic:
        raise VerificationError(f"{onnx_file.name}: {achieved:,} MACs by its graph {by_op}, {analytic:,} by formula")
    if achieved > budget_macs:
        raise VerificationError(f"{onnx_file.name}: {achieved:,} MACs exceed the budget {budget_macs:,}")
    return Certificate(
        counted_on=f"nodes of the exported ONNX graph (opset {opset_of(onnx_file)}), shapes inferred for one image",
        rule=COUNTING_RULE,
        resolution=arch.resolution,
        target_macs=budget_macs,
        achieved_macs=achieved,
        slack_macs=budget_macs - achieved,
        slack_pct=100 * (budget_macs - achieved) / budget_macs,
        by_op=by_op,
    )
