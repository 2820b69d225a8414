"""Small networks as ONNX files that say how images are prepared for them, as those of searches do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, KERNEL, STRIDE = 12, 5, 4
MEAN, STD = [0.48, 0.45, 0.41], [0.23, 0.22, 0.24]


def recipe(resolution: int, grey_range: Sequence[float] | None = None) -> dict[str, Any]:
    """What a page, or pixels.py, needs of preprocess.json."""
    return {
        "resolution": resolution,
        "mean": MEAN,
        "std": STD,
        "grey_range": None if grey_range is None else list(grey_range),
        "operations": [{"operation": "turn", "max_exif_bytes": 65536}],
        "max_image_bytes": 10**9,
        "max_image_pixels": 10**8,
    }


def random_network(preprocess: Mapping[str, Any], classes: Sequence[str], seed: int = 0) -> bytes:
    """The file of a convolution, a mean and a classifier with random weights, whose answers differ from image to image."""
    dice = np.random.default_rng(seed)
    weights = {
        "kernel": dice.normal(0, 0.3, (CHANNELS, 3, KERNEL, KERNEL)),
        "classifier": dice.normal(0, 3, (CHANNELS, len(classes))),
    }
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["found"], strides=[STRIDE, STRIDE]),
        helper.make_node("Relu", ["found"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["features"]),
        helper.make_node("MatMul", ["features", "classifier"], ["logits"]),
    ]
    side = preprocess["resolution"]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(classes)])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"classes": json.dumps(list(classes)), "preprocess": json.dumps(dict(preprocess))})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
