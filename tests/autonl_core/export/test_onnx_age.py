"""ONNX files are as old as their nodes allow, and compute the same as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from autonl_core.export.formats.onnx import convert
from autonl_core.export.onnx_age import make_old
from autonl_core.spec import arch_string
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.space_families import get_space
from tests.autonl_core.bundle.small_bundle import filled_graph, lively
from tests.autonl_core.sample_architectures import block, network

NEWEST = 20


def model_of(nodes: list[onnx.NodeProto], rank: int = 2, **constants: Any) -> onnx.ModelProto:
    """From `x`, (2, 4) float32, to `y` of `rank` dimensions."""
    values = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 4))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"] * rank)
    graph = helper.make_graph(nodes, "g", [x], [y], values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", NEWEST)])


def run(model: onnx.ModelProto, **inputs: Any) -> Any:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)[0]


@pytest.mark.parametrize(
    ("arch", "opset", "ir_version"),
    [
        (get_space("tiny", 8, 10).largest(), 11, 6),
        (network(block(se_ratio=0.25, activation="relu6")), 11, 6),
        (network(block(activation="hard_swish")), 14, 7),  # an operator of its own only since opset 14
    ],
    ids=["swish and LightNL", "relu6", "hard swish"],
)
@pytest.mark.long
def test_networks_need_no_newer_runtime_than_their_operators_and_keep_their_logits(
    arch: ArchSpec, opset: int, ir_version: int
) -> None:
    exported = filled_graph(lively(arch)).converted(convert).model_proto
    assert (exported.opset_import[0].version, exported.ir_version) > (NEWEST - 1, ir_version)
    old = onnx.ModelProto.FromString(exported.SerializeToString())
    assert make_old(old) == opset
    assert (old.opset_import[0].version, old.ir_version) == (opset, ir_version), arch_string.encode(arch)
    onnx.checker.check_model(old, full_check=True)
    x = np.random.default_rng(0).standard_normal((3, 3, arch.resolution, arch.resolution)).astype(np.float32)
    np.testing.assert_array_equal(run(old, images=x), run(exported, images=x))


def test_axes_become_an_attribute_and_their_constant_goes() -> None:
    model = model_of([helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0)], rank=1, axes=[-1])
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    assert make_old(model) == 11
    onnx.checker.check_model(model, full_check=True)
    assert not model.graph.initializer
    assert run(model, x=x).tolist() == [1.5, 5.5]


def test_axes_that_are_computed_keep_the_new_form() -> None:
    nodes = [
        helper.make_node("Identity", ["given"], ["axes"]),
        helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0),
    ]
    assert make_old(model_of(nodes, given=[1])) == 18


@pytest.mark.parametrize(("shape", "opset"), [([4, 2], 11), ([-1, 8], 11), ([0, 4], 19)])
def test_a_shape_with_a_zero_keeps_what_the_zero_means(shape: list[int], opset: int) -> None:
    model = model_of([helper.make_node("Reshape", ["x", "shape"], ["y"], allowzero=1)], shape=shape)
    assert make_old(model) == opset


def test_an_operator_that_is_not_known_to_be_the_same_keeps_its_version() -> None:
    """Softmax meant something else before opset 13."""
    assert make_old(model_of([helper.make_node("Softmax", ["x"], ["y"])])) == 13


def test_no_opset_below_what_was_asked_for_and_no_newer_than_it_was() -> None:
    model = model_of([helper.make_node("Relu", ["x"], ["y"])])
    assert make_old(model, at_least=13) == 13
    assert make_old(model, at_least=17) == 13
