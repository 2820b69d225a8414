"""Models of parts: the nodes of an exported network, and shapes that fit together."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from autonl_core.bundle.files import model
from autonl_core.bundle.formats import prepare_graph
from autonl_core.device_table.parts import block_model, ends_model, network_model, stem_model
from autonl_core.export.formats.onnx import convert
from autonl_core.export.onnx_age import make_old
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.arch_string import decode
from autonl_core.spec.macs import block_sizes
from autonl_core.spec.space_families import get_space

BOTH_ORDERS = (  # of LightNL's products, squeeze-excite, an odd map
    "in18 | cn_k3_s1_c16 | ds_r1_k3_s1_c16 | ir_r1_k5_s2_e3_c32_se0.25 ir_r1_k3_s1_e3_c32_se0.5_nl0.25-2 | "
    "ir_r1_k3_s2_e3_c80_nl0.125-1 | cn_k1_s1_c64 | fc10"
)
AS_TENSORFLOW = "in32 | cn_k3_s2_c16_same_nr6 | ds_r1_k3_s1_c16 | ir_r1_k5_s2_e3_c24 | cn_k1_s1_c64 | fc10"


def _name(attribute: onnx.AttributeProto) -> str:
    return str(attribute.name)


def nodes_of(content: bytes) -> list[tuple[str, dict[str, object]]]:
    """Kinds of nodes with what makes a convolution dear, in order."""
    kept = ("group", "pads", "strides", "kernel_shape")
    return [
        (
            node.op_type,
            {a.name: onnx.helper.get_attribute_value(a) for a in sorted(node.attribute, key=_name) if a.name in kept},
        )
        for node in onnx.load_from_string(content).graph.node
    ]


def output_of(content: bytes, *shape: int) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"images": np.ones((2, *shape), dtype=np.float32)})[0])


@pytest.mark.parametrize(("name", "resolution"), [("mobile-32", 32), ("lite", 64)])
def test_parts_together_have_the_nodes_of_the_network(name: str, resolution: int) -> None:
    space = get_space(name, resolution, 10)
    arch = space.sample(random.Random(1))
    sizes = block_sizes(arch)
    parts = [stem_model(space)]
    parts += [block_model(block, size, arch.padding) for block, size in zip(arch.blocks, sizes, strict=False)]
    parts.append(ends_model(space, arch.head_channels, 10))
    assert [node for part in parts for node in nodes_of(part)] == nodes_of(network_model(arch))


def test_a_network_runs_and_its_blocks_hand_on_maps_of_the_right_size() -> None:
    arch = decode(BOTH_ORDERS)
    assert output_of(network_model(arch), 3, 18, 18).shape == (2, 10)
    assert np.isfinite(output_of(network_model(arch), 3, 18, 18)).all()
    for block, size in zip(arch.blocks, block_sizes(arch), strict=False):
        out = output_of(block_model(block, size, arch.padding), block.in_channels, size, size)
        assert out.shape == (2, block.out_channels, -(-size // block.stride), -(-size // block.stride))


@pytest.mark.long
@pytest.mark.parametrize("text", [BOTH_ORDERS, AS_TENSORFLOW])
def test_a_network_has_the_nodes_of_the_exported_file_and_computes_the_same(text: str) -> None:
    arch = decode(text)
    exported, weights = _exported(arch)
    written = onnx.load_from_string(network_model(arch))
    ours, theirs = nodes_of(written.SerializeToString()), nodes_of(exported.SerializeToString())
    assert Counter(map(str, ours)) == Counter(map(str, theirs))
    convolutions = [node for node in written.graph.node if node.op_type in ("Conv", "Gemm")]
    named = {tensor.name: tensor for tensor in written.graph.initializer}
    for node, (weight, bias) in zip(convolutions, weights, strict=True):
        named[node.input[1]].CopyFrom(onnx.numpy_helper.from_array(weight, node.input[1]))
        named[node.input[2]].CopyFrom(onnx.numpy_helper.from_array(bias, node.input[2]))
    shape = (3, arch.resolution, arch.resolution)
    expected = output_of(exported.SerializeToString(), *shape)
    np.testing.assert_allclose(output_of(written.SerializeToString(), *shape), expected, rtol=1e-3, atol=1e-5)


def _exported(arch: ArchSpec) -> tuple[onnx.ModelProto, list[tuple[np.ndarray, np.ndarray]]]:
    """The file of a bundle, and weight and bias of its convolutions and its classifier, in order."""
    torch.manual_seed(0)
    fused = model.fuse(model.Network(arch.to_json()).eval())
    graph = prepare_graph(arch.to_json(), [])
    graph.fill(fused.state_dict())
    proto = graph.converted(convert).model_proto
    make_old(proto)
    layers = [layer for layer in fused.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)]
    pairs = [(layer.weight.numpy(), layer.bias.numpy()) for layer in layers if layer.bias is not None]
    assert len(pairs) == len(layers)
    return proto, pairs
