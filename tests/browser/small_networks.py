"""Small networks as ONNX files that say how images are prepared for them, as those of searches do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from autonl_core.bundle.files.pixels import normalise

CHANNELS, KERNEL, STRIDE = 32, 5, 2
MEAN, STD = [0.48, 0.45, 0.41], [0.23, 0.22, 0.24]


def recipe(resolution: int, grey_range: Sequence[float] | None = None) -> dict[str, Any]:
    """What the page and pixels.py need of preprocess.json."""
    return {
        "resolution": resolution,
        "mean": MEAN,
        "std": STD,
        "grey_range": None if grey_range is None else list(grey_range),
        "operations": [{"operation": "turn", "max_exif_bytes": 65536}],
        "max_image_bytes": 10**9,
        "max_image_pixels": 10**8,
    }


def random_network(preprocess: Mapping[str, Any], classes: Sequence[str]) -> bytes:
    """The file of a random convolution, its mean over the image, and a random classifier."""
    return _network(preprocess, classes, np.random.default_rng(1).normal(0, 1, (CHANNELS, len(classes))))


def fitted_network(
    preprocess: Mapping[str, Any], classes: Sequence[str], pixels: NDArray[np.uint8], labels: Sequence[int]
) -> bytes:
    """The same with a classifier that was fitted to images: `pixels` (N, R, R, 3), and `labels` (N,)."""
    features = _network(preprocess, classes, np.eye(CHANNELS))
    session = onnxruntime.InferenceSession(features, providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"images": normalise(pixels, preprocess)})
    fit = LogisticRegression(C=10.0, max_iter=3000).fit(found, list(labels))
    return _network(preprocess, classes, fit.coef_.T, fit.intercept_)


def _network(
    preprocess: Mapping[str, Any], classes: Sequence[str], classifier: NDArray[Any], bias: NDArray[Any] | None = None
) -> bytes:
    outputs = classifier.shape[1]
    weights = {
        "kernel": np.random.default_rng(0).normal(0, 0.3, (CHANNELS, 3, KERNEL, KERNEL)),
        "classifier": classifier,
        "bias": np.zeros(outputs) if bias is None else bias,
    }
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["found"], strides=[STRIDE, STRIDE]),
        helper.make_node("Relu", ["found"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["features"]),
        helper.make_node("Gemm", ["features", "classifier", "bias"], ["logits"]),
    ]
    side = preprocess["resolution"]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", outputs])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"classes": json.dumps(list(classes)), "preprocess": json.dumps(dict(preprocess))})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
