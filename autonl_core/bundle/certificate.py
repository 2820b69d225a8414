"""The budget certificate: the exported graph keeps to the budget, by a count of its own."""

from __future__ import annotations

from pathlib import Path

from autonl_core.bundle.exporting import OPSET
from autonl_core.bundle.onnx_macs import count_onnx_macs
from autonl_core.errors import VerificationError
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.macs import COUNTING_RULE, count_macs
from autonl_core.spec.result import Certificate


def certify(onnx_file: Path, arch: ArchSpec, flops_budget: int) -> Certificate:
    """Count the graph in `onnx_file`.

    Raises:
        VerificationError: the count differs from the analytic one, or exceeds the budget.
    """
    by_op = count_onnx_macs(onnx_file, arch.resolution)
    achieved, analytic = sum(by_op.values()), count_macs(arch).total
    if achieved != analytic:
        raise VerificationError(f"{onnx_file.name}: {achieved:,} MACs by its graph {by_op}, {analytic:,} by formula")
    if achieved > flops_budget:
        raise VerificationError(f"{onnx_file.name}: {achieved:,} MACs exceed the budget {flops_budget:,}")
    return Certificate(
        counted_on=f"nodes of the exported ONNX graph (opset {OPSET}), shapes inferred for one image",
        rule=COUNTING_RULE,
        resolution=arch.resolution,
        target_macs=flops_budget,
        achieved_macs=achieved,
        slack_macs=flops_budget - achieved,
        slack_pct=100 * (flops_budget - achieved) / flops_budget,
        by_op=by_op,
    )
