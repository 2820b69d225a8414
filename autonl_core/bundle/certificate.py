"""The certificate: the exported network is within its limits, MACs by a count that shares no code with the search."""

from __future__ import annotations

from pathlib import Path

from autonl_core.bundle.onnx_macs import count_onnx_macs, count_onnx_weights_bytes
from autonl_core.errors import VerificationError
from autonl_core.export.onnx_age import opset_of
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config_sections import NO_CONSTRAINTS, Constrained, Constraints
from autonl_core.spec.constraints import MEASURES
from autonl_core.spec.macs import COUNTING_RULE, count_macs
from autonl_core.spec.result import Certificate, ConstraintCheck


def certify(
    onnx_file: Path, arch: ArchSpec, budget_macs: int, constraints: Constraints = NO_CONSTRAINTS
) -> Certificate:
    """Count what is limited: MACs and bytes of weights on the graph in `onnx_file`.

    Raises:
        VerificationError: a count differs from the analytic one, or exceeds its limit.
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
        constraints=tuple(
            _check(name, at_most, onnx_file, arch)
            for name, at_most in constraints.limits.items()
            if name != "latency_ms"  # which is measured, not counted: `latency_limit.py`
        ),
    )


def _check(name: Constrained, at_most: int, onnx_file: Path, arch: ArchSpec) -> ConstraintCheck:
    achieved, counted_on = MEASURES[name].of(arch), "the architecture"
    if name == "weights_bytes":
        counted, counted_on = count_onnx_weights_bytes(onnx_file), "weights and biases of the exported ONNX graph"
        if counted != achieved:
            raise VerificationError(f"{onnx_file.name}: {counted:,} bytes of weights, {achieved:,} by formula")
    if achieved > at_most:
        raise VerificationError(f"{achieved:,} {MEASURES[name].unit} exceed constraints.{name} {at_most:,}")
    return ConstraintCheck(name, at_most, achieved, counted_on)
