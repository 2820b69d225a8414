"""The forms in which a trained network is handed over: their names, files, and what they are sent as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

FileFormat = Literal["safetensors", "onnx", "onnx-int8", "pt2", "torchscript", "bundle"]
ExportFormat = Literal["onnx", "onnx-int8", "pt2", "torchscript"]  # a search can be asked for; the others always are
NetworkFormat = Literal["safetensors", "onnx", "onnx-int8", "pt2", "torchscript"]  # what can be scored

FILE_FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
NETWORK_FORMATS: tuple[NetworkFormat, ...] = get_args(NetworkFormat)


@dataclass(frozen=True)
class FormatFacts:
    """`file_name` in a bundle and in the folder of an attempt, `ending` of the name under which it is downloaded."""

    file_name: str
    ending: str
    media_type: str
    summary: str


_BYTES = "application/octet-stream"
FORMATS: dict[FileFormat, FormatFacts] = {
    "safetensors": FormatFacts(
        "model.safetensors", ".safetensors", _BYTES, "weights, architecture, preprocessing and labels, without code"
    ),
    "onnx": FormatFacts("model.onnx", ".onnx", _BYTES, "float32, batch norms folded, any batch size"),
    "onnx-int8": FormatFacts(
        "model.int8.onnx", ".int8.onnx", _BYTES, "eight bits, calibrated on training images, any batch size"
    ),
    "pt2": FormatFacts("model.pt2", ".pt2", _BYTES, "a program of torch.export, any batch size"),
    "torchscript": FormatFacts(
        "model.torchscript.pt", ".torchscript.pt", _BYTES, "for old runtimes; PyTorch has deprecated it"
    ),
    "bundle": FormatFacts("bundle.zip", ".zip", "application/zip", "all of these, with model card and verify.py"),
}
