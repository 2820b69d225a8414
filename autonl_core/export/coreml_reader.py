"""How verify.py opens a Core ML package: on a Mac with Core ML, elsewhere by computing its operations with PyTorch.

Core ML runs on Apple's systems only. Elsewhere the program that the file holds is read as coremltools' own reader gives
it, operation by operation with the weights of the file, and computed as Apple describes the operations of the Model
Intermediate Language; what is declared to be float16 is rounded to it. So the file is checked, but not Core ML.

This module is shipped in bundles as it is: it imports nothing of the program that made them.
"""

from __future__ import annotations

import atexit
import logging
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

INPUT, OUTPUT = "images", "logits"
Value = Any  # a Tensor, or what an operation takes as a parameter: a number, a text, a list of numbers
Run = Callable[[Tensor], Tensor]


def open_file(path: Path, threads: int) -> Run:
    """A package for one image, zipped, as a function from batches (B, 3, R, R) to (B, classes) logits."""
    folder = tempfile.mkdtemp(prefix="coreml-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # Core ML may read its files as long as it runs
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    package = next(Path(folder).glob("*.mlpackage"))
    run = _by_core_ml(package) if sys.platform == "darwin" else Program(package).run
    return lambda images: torch.cat([run(image[None]).float() for image in images])


def _by_core_ml(package: Path) -> Run:
    from coremltools.models import MLModel

    model = MLModel(str(package))
    return lambda image: torch.from_numpy(np.asarray(model.predict({INPUT: image.numpy()})[OUTPUT]))


class Program:
    """The operations of a package, in order, and its constants.

    Raises:
        ValueError: it holds an operation, or a type of numbers, that this module does not know.
    """

    def __init__(self, package: Path) -> None:
        model_pb2, blobs = _libraries()
        data = package / "Data" / "com.apple.CoreML"
        self._weights = blobs(str(data / "weights" / "weight.bin"))
        description = model_pb2.Model.FromString((data / "model.mlmodel").read_bytes())
        function = description.mlProgram.functions["main"]
        operations = function.block_specializations[function.opset].operations
        unknown = {operation.type for operation in operations} - {"const", "constexpr_affine_dequantize", *OPERATIONS}
        if unknown:
            raise ValueError(f"it holds operations that verify.py cannot compute: {', '.join(sorted(unknown))}")
        self._constants = {
            operation.outputs[0].name: self._constant(operation)
            for operation in operations
            if operation.type.startswith("const")
        }
        self._operations = [operation for operation in operations if not operation.type.startswith("const")]

    def run(self, image: Tensor) -> Tensor:
        """(1, 3, R, R) -> (1, classes)."""
        values: dict[str, Value] = {**self._constants, INPUT: image}
        for operation in self._operations:
            given = {name: _given(argument.arguments, values) for name, argument in operation.inputs.items()}
            made = operation.outputs[0]
            values[made.name] = _rounded(OPERATIONS[operation.type](**given), made.type.tensorType.dataType)
        return values[OUTPUT]

    def _constant(self, operation: Any) -> Value:
        given = {name: self._value(value) for name, value in operation.attributes.items() if name != "name"}
        return given["val"] if operation.type == "const" else _dequantised(**given)

    def _value(self, value: Any) -> Value:
        """A value that the file holds, as a tensor of float32 if it is one of weights."""
        kind, shape = value.type.tensorType.dataType, [each.constant.size for each in value.type.tensorType.dimensions]
        if value.HasField("blobFileValue"):
            return self._blob(kind, value.blobFileValue.offset).reshape(shape)
        tensor = value.immediateValue.tensor
        held = getattr(tensor, tensor.WhichOneof("value")).values
        if isinstance(held, bytes):
            held = np.frombuffer(held, _TYPES[kind])
        if not shape:
            return held[0]
        return torch.tensor(np.asarray(held, np.float32)).reshape(shape) if kind in _FLOATS else list(held)

    def _blob(self, kind: int, offset: int) -> Tensor:
        if kind not in _BLOBS:
            raise ValueError(f"it holds weights of a type that verify.py cannot read: {kind}")
        held = np.asarray(getattr(self._weights, _BLOBS[kind])(offset))
        return torch.from_numpy(held.view(_TYPES[kind]).astype(np.float32))


def _libraries() -> tuple[Any, Any]:
    """The description of the format and the reader of its weights. Without Core ML, importing them logs warnings."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        from coremltools.libmilstoragepython import _BlobStorageReader
        from coremltools.proto import Model_pb2
    finally:
        logger.setLevel(level)
    return Model_pb2, _BlobStorageReader


# Types of numbers, as the format numbers them.
_FLOAT16, _FLOAT32, _INT8, _UINT8 = 10, 11, 21, 31
_FLOATS = (_FLOAT16, _FLOAT32)
_TYPES: dict[int, Any] = {
    _FLOAT16: np.dtype("<f2"),
    _FLOAT32: np.dtype("<f4"),
    _INT8: np.dtype("i1"),
    _UINT8: np.dtype("u1"),
}
_BLOBS = {
    _FLOAT16: "read_fp16_data",
    _FLOAT32: "read_float_data",
    _INT8: "read_int8_data",
    _UINT8: "read_uint8_data",
}


def _given(arguments: Sequence[Any], values: Mapping[str, Value]) -> Value:
    return values[arguments[0].name]


def _rounded(value: Tensor, kind: int) -> Tensor:
    return value.half().float() if kind == _FLOAT16 else value


# Operations, as the guide to the Model Intermediate Language describes them; arguments have its names. ---------------


def _dequantised(quantized_data: Tensor, zero_point: Value, scale: Value, axis: int) -> Tensor:
    """Weights in 8 bits, with a scale for each channel of `axis`."""
    shape = [-1 if place == axis else 1 for place in range(quantized_data.dim())]
    zeros, scales = (torch.as_tensor(value, dtype=torch.float32).reshape(shape) for value in (zero_point, scale))
    return (quantized_data - zeros) * scales


def _conv(
    x: Tensor,
    weight: Tensor,
    strides: list[int],
    dilations: list[int],
    groups: int,
    pad_type: str,
    pad: list[int],
    bias: Tensor | None = None,
) -> Tensor:
    if pad_type not in ("valid", "custom"):
        raise ValueError(f"it holds a convolution with padding that verify.py does not know: {pad_type}")
    top, bottom, left, right = pad if pad_type == "custom" else (0, 0, 0, 0)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, strides, dilation=dilations, groups=groups)


def _matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    return (x.mT if transpose_x else x) @ (y.mT if transpose_y else y)


def _pad(x: Tensor, pad: list[int], mode: str, constant_val: float = 0.0) -> Tensor:
    pairs = list(zip(pad[::2], pad[1::2], strict=True))  # of the first axes first; PyTorch wants the last first
    return F.pad(x, [width for pair in reversed(pairs) for width in pair], mode, constant_val)


def _slice_by_index(
    x: Tensor,
    begin: list[int],
    end: list[int],
    stride: list[int] | None = None,
    begin_mask: list[bool] | None = None,
    end_mask: list[bool] | None = None,
) -> Tensor:
    free = [False] * x.dim()
    parts = zip(begin, end, stride or [1] * x.dim(), begin_mask or free, end_mask or free, strict=True)
    return x[tuple(slice(None if whole else a, None if open_ else b, step) for a, b, step, whole, open_ in parts)]


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "add": lambda x, y: x + y,
    "cast": lambda x, dtype: x,  # the type of the result rounds it
    "clip": lambda x, alpha, beta: x.clamp(alpha, beta),
    "conv": _conv,
    "linear": lambda x, weight, bias=None: F.linear(x, weight, bias),
    "matmul": _matmul,
    "mul": lambda x, y: x * y,
    "pad": _pad,
    "reduce_mean": lambda x, axes, keep_dims: x.mean(axes, keepdim=bool(keep_dims)),
    "relu": lambda x: x.relu(),
    "relu6": lambda x: x.clamp(0.0, 6.0),
    "reshape": lambda x, shape: x.reshape(shape),
    "sigmoid": lambda x: x.sigmoid(),
    "sigmoid_hard": lambda x, alpha, beta: (alpha * x + beta).clamp(0.0, 1.0),
    "silu": lambda x: x * x.sigmoid(),
    "slice_by_index": _slice_by_index,
    "thresholded_relu": lambda x, alpha: torch.where(x >= alpha, x, torch.zeros(())),
}
