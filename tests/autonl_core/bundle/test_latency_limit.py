"""Predicted and measured latency of a delivered network."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from autonl_core.bundle.latency_limit import check_latency
from autonl_core.device_table.parts import network_model
from autonl_core.device_table.timing import table_machine
from autonl_core.errors import VerificationError
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.config_sections import NO_CONSTRAINTS, Constraints
from autonl_core.spec.result import LatencyCheck
from autonl_core.spec.space_families import get_space
from tests.autonl_core.device_tables import made_up_table

TABLE = made_up_table("tiny", 8)
OWN = TABLE.model_copy(update={"machine": table_machine(1)})


@pytest.fixture(scope="module")
def arch() -> ArchSpec:
    return get_space("tiny", 8, 10).sample(random.Random(0))


@pytest.fixture(scope="module")
def onnx_file(arch: ArchSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "model.onnx"
    path.write_bytes(network_model(arch))
    return path


def test_on_the_device_it_is_measured(arch: ArchSpec, onnx_file: Path) -> None:
    asked: list[None] = []
    check = check_latency(onnx_file, arch, Constraints(latency_ms=5.0).on(OWN), lambda: asked.append(None))
    assert check is not None
    assert check.predicted_ms == pytest.approx(OWN.network_ns(arch) / 1e6, abs=1e-4)
    assert check.measured_ms is not None
    assert 0 < check.measured_ms < 100
    assert asked  # it can be stopped
    assert "ms predicted of 5 ms allowed, " in check.text
    assert check.text.endswith("ms measured")


def test_elsewhere_it_is_only_predicted_and_the_result_says_why(arch: ArchSpec, onnx_file: Path) -> None:
    check = check_latency(onnx_file, arch, Constraints(latency_ms=5.0).on(TABLE))
    assert check is not None
    assert check.measured_ms is None
    assert "not measured: it was exported on another machine" in check.text
    older = OWN.model_copy(update={"machine": OWN.machine.model_copy(update={"onnxruntime": "1.0.0"})})
    elsewhere = check_latency(onnx_file, arch, Constraints(latency_ms=5.0).on(older))
    assert isinstance(elsewhere, LatencyCheck)
    assert str(elsewhere.not_measured).startswith("it was exported with onnxruntime")


def test_a_network_above_its_limit_is_not_delivered(arch: ArchSpec, onnx_file: Path) -> None:
    with pytest.raises(VerificationError, match=r"exceed constraints.latency_ms 0.01"):
        check_latency(onnx_file, arch, Constraints(latency_ms=0.01).on(TABLE))


def test_nothing_is_measured_where_latency_is_not_limited(arch: ArchSpec) -> None:
    assert check_latency(Path("missing.onnx"), arch, NO_CONSTRAINTS) is None
