"""MACs of ONNX graphs: by hand for single nodes, and equal to the formula for exported published networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from autonl_core.bundle.certificate import certify
from autonl_core.bundle.onnx_macs import count_onnx_macs
from autonl_core.errors import VerificationError
from autonl_core.export.formats.onnx import save_onnx
from autonl_core.nn.network import build_network
from autonl_core.spec.config_sections import CONSTRAINED, Constraints
from autonl_core.spec.constraints import MEASURES
from autonl_core.spec.macs import count_macs
from autonl_core.spec.zoo import ZOO
from tests.autonl_core.bundle.small_bundle import Made, filled_graph


def graph(path: Path, nodes: Sequence[Any], **weights: tuple[int, ...]) -> Path:
    """A file of `nodes` from `images`, (batch, 3, R, R), to `y`, with constants of the given shapes."""
    constants = [
        numpy_helper.from_array(np.zeros(shape, np.int64 if shape == (2,) else np.float32), name)
        for name, shape in weights.items()
    ]
    made = helper.make_graph(
        list(nodes),
        "by_hand",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)]), path)
    return path


def test_a_convolution_takes_its_filter_for_every_output(tmp_path: Path) -> None:
    conv = helper.make_node("Conv", ["images", "w", "b"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])
    # 16 x 16 outputs of 8 channels, each a sum over 3 channels of 3 x 3; the bias is not counted
    assert count_onnx_macs(graph(tmp_path / "g", [conv], w=(8, 3, 3, 3), b=(8,)), 32) == {"Conv": 16 * 16 * 8 * 27}


def test_unequal_padding_counts_what_comes_out_whichever_operator_pads(tmp_path: Path) -> None:
    # TensorFlow's SAME: 16 x 16 outputs of a map that is even, with one row and column of zeros after it
    inside = helper.make_node("Conv", ["images", "w"], ["y"], strides=[2, 2], pads=[0, 0, 1, 1])
    assert count_onnx_macs(graph(tmp_path / "g", [inside], w=(8, 3, 3, 3)), 32) == {"Conv": 16 * 16 * 8 * 27}
    margins = numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 0, 1, 1]), "p")
    before = [
        helper.make_node("Constant", [], ["p"], value=margins),
        helper.make_node("Pad", ["images", "p"], ["x"]),
        helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2]),
    ]
    assert count_onnx_macs(graph(tmp_path / "h", before, w=(8, 3, 3, 3)), 32) == {"Conv": 16 * 16 * 8 * 27}


def test_a_depthwise_convolution_takes_one_channel_only(tmp_path: Path) -> None:
    conv = helper.make_node("Conv", ["images", "w"], ["y"], group=3, pads=[2, 2, 2, 2])
    assert count_onnx_macs(graph(tmp_path / "g", [conv], w=(3, 1, 5, 5)), 10) == {"Conv": 10 * 10 * 3 * 25}


def test_poolings_count_what_they_pool_and_linear_layers_their_weights(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["z"], transB=1),
        helper.make_node("Sigmoid", ["z"], ["s"]),
        helper.make_node("Mul", ["z", "s"], ["y"]),
    ]
    expected = {"GlobalAveragePool": 3 * 8 * 8, "Gemm": 3 * 11}
    assert count_onnx_macs(graph(tmp_path / "g", nodes, w=(11, 3), b=(11,)), 8) == expected


def test_matrix_products_multiply_out_and_so_does_einsum(tmp_path: Path) -> None:
    product = helper.make_node("MatMul", ["images", "w"], ["y"])  # (1, 3, 6, 6) x (6, 5)
    assert count_onnx_macs(graph(tmp_path / "g", [product], w=(6, 5)), 6) == {"MatMul": 3 * 6 * 5 * 6}
    einsum = helper.make_node("Einsum", ["images", "w"], ["y"], equation="bchw,wk->bchk")
    assert count_onnx_macs(graph(tmp_path / "g", [einsum], w=(6, 5)), 6) == {"Einsum": 3 * 6 * 5 * 6}


def test_unknown_operators_and_shapes_are_errors_not_zero(tmp_path: Path) -> None:
    transposed = helper.make_node("ConvTranspose", ["images", "w"], ["y"])
    with pytest.raises(VerificationError, match="ConvTranspose"):
        count_onnx_macs(graph(tmp_path / "g", [transposed], w=(3, 4, 3, 3)), 8)
    three = helper.make_node("Einsum", ["images", "w", "w"], ["y"], equation="bchw,wk,wk->bchk")
    with pytest.raises(VerificationError, match="einsum"):
        count_onnx_macs(graph(tmp_path / "g", [three], w=(8, 5)), 8)
    wrong = helper.make_node("MatMul", ["images", "w"], ["y"])
    with pytest.raises(VerificationError, match="cannot be inferred"):
        count_onnx_macs(graph(tmp_path / "g", [wrong], w=(7, 5)), 8)


@pytest.mark.long
def test_an_exported_published_network_costs_what_it_does_by_formula(tmp_path: Path) -> None:
    """AutoNL-S has LightNL in both orders, strided and not, and squeeze-excite; docs/macs.md has its columns."""
    network = build_network(ZOO["autonl_s"].arch, seed=0)
    save_onnx(tmp_path / "s.onnx", filled_graph(network), {})
    expected = {
        "Conv": 237_958_080 + 22_014_720,  # squeeze-excite's layers are convolutions
        "Gemm": 1_280_000,
        "MatMul": 4_989_376,
        "ReduceMean": 573_888 + 62_720,
    }
    assert count_onnx_macs(tmp_path / "s.onnx", 224) == expected
    assert sum(expected.values()) == 266_878_784


class TestCertificate:
    def test_states_what_was_counted_and_what_is_unused(self, made: Made) -> None:
        arch = made.network.arch
        certificate = certify(made.bundle.folder / "model.onnx", arch, count_macs(arch).total + 100)
        assert certificate.achieved_macs == sum(certificate.by_op.values()) == count_macs(arch).total
        assert (certificate.slack_macs, certificate.resolution) == (100, 8)
        assert certificate.target_macs - certificate.achieved_macs == 100
        assert certificate.slack_pct == pytest.approx(100 * 100 / certificate.target_macs)
        assert {"Conv", "Gemm", "MatMul", "ReduceMean"} == certificate.by_op.keys()

    def test_is_refused_above_the_budget(self, made: Made) -> None:
        assert made.bundle.certificate.slack_macs == 0
        budget = made.bundle.certificate.achieved_macs
        onnx_file = made.bundle.folder / "model.onnx"
        assert certify(onnx_file, made.network.arch, budget).slack_macs == 0
        with pytest.raises(VerificationError, match="exceed the budget"):
            certify(onnx_file, made.network.arch, budget - 1)

    def test_is_refused_for_the_graph_of_another_network(self, made: Made, tmp_path: Path) -> None:
        conv = helper.make_node("Conv", ["images", "w"], ["y"])
        with pytest.raises(VerificationError, match="by formula"):
            certify(graph(tmp_path / "g", [conv], w=(8, 3, 3, 3)), made.network.arch, 10**9)

    def test_has_a_line_for_every_other_limit(self, made: Made) -> None:
        arch, onnx_file = made.network.arch, made.bundle.folder / "model.onnx"
        needed = {name: MEASURES[name].of(arch) for name in CONSTRAINED}
        certificate = certify(onnx_file, arch, count_macs(arch).total, Constraints.model_validate(needed))
        assert {check.name: (check.at_most, check.achieved) for check in certificate.constraints} == {
            name: (amount, amount) for name, amount in needed.items()
        }
        for name, amount in needed.items():
            with pytest.raises(VerificationError, match=f"exceed constraints.{name}"):
                certify(onnx_file, arch, count_macs(arch).total, Constraints.model_validate({name: amount - 1}))
