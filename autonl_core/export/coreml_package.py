"""Core ML packages, which apps on iOS, iPadOS and macOS run: for one image, zipped, since a package is a folder."""

from __future__ import annotations

import gc
import json
import tempfile
import uuid
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autonl_core.export.format_spec import Extra, ShippedModule, Snippet
from autonl_core.files import write_atomically

if TYPE_CHECKING:  # tensor code
    from autonl_core.export.graph import NetworkGraph

EXTRA = Extra("coreml", modules=("coremltools",), runtime=("coremltools",))
OPENER = ShippedModule("autonl_core.export.coreml_reader")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest that an archive can say
_NEEDS = "nothing; the unzipped package in the project, which Xcode compiles"


def save_coreml(path: Path, graph: NetworkGraph, metadata: Mapping[str, object], *, small: bool) -> None:
    """Write the network as a zipped .mlpackage for one image, `images` (1, 3, R, R) -> `logits` (1, classes), float32.

    Args:
        metadata: for the description of the package.
        small: whether it computes in float16, as the Neural Engine does, with weights of 8 bits per channel; else in
            float32, with weights in it.
    """
    from autonl_core.export.tracing import silence, trace_one

    with silence(), tempfile.TemporaryDirectory(prefix="autonl-coreml-") as folder:
        warnings.simplefilter("ignore", ResourceWarning)  # coremltools leaves its folders to the collector of garbage
        package = Path(folder, path.name.removesuffix(".zip"))
        model = _converted(trace_one(graph.network, graph.resolution), small)
        described = model.user_defined_metadata
        del described["com.github.apple.coremltools.conversion_date"]  # equal materials give equal bytes
        described.update({name: _text(value) for name, value in metadata.items()})
        model.save(str(package))
        _without_chance(package)
        write_atomically(path, lambda temporary: _pack(package, temporary))
        del model, described
        gc.collect()


def load_converter(_: NetworkGraph) -> None:
    """Import what `save_coreml` needs, which takes seconds."""
    from autonl_core.export.tracing import silence

    with silence():
        import coremltools.optimize.coreml

    assert coremltools


def usage_of(opener: str, file_name: str) -> str:
    """The snippet of the model card for Python. `opener`: the module of the bundle that opens the file."""
    return f"""\
from pathlib import Path
from {opener} import open_file  # pip install coremltools; uses Core ML on a Mac, and PyTorch elsewhere
logits = open_file(Path("{file_name}"), threads=1)(images)  # torch"""


def apps_of(file_name: str) -> tuple[Snippet, ...]:
    """The snippet of the model card for iOS."""
    return (Snippet("swift", _NEEDS, _SWIFT.replace("FILE", file_name.removesuffix(".mlpackage.zip"))),)


_SWIFT = """\
let model = try MLModel(contentsOf: path(of: "FILE.mlmodelc"))  // import CoreML
let input = try MLDictionaryFeatureProvider(dictionary: ["images": image])  // MLMultiArray, [1, 3, R, R], normalised
let logits = try model.prediction(from: input).featureValue(for: "logits")!.multiArrayValue!  // float32"""


def _converted(program: Any, small: bool) -> Any:
    """The program as coremltools holds it, for iOS 16 and macOS 13 or newer."""
    import coremltools
    import numpy as np
    from coremltools.optimize import coreml

    in_float16 = coremltools.transform.FP16ComputePrecision(op_selector=_fits_float16)
    model = coremltools.convert(
        program.run_decompositions({}),
        outputs=[coremltools.TensorType(name="logits", dtype=np.float32)],
        minimum_deployment_target=coremltools.target.iOS16,
        compute_precision=in_float16 if small else coremltools.precision.FLOAT32,
        skip_model_load=True,
    )
    if small:
        settings = coreml.OpLinearQuantizerConfig(mode="linear_symmetric", granularity="per_channel")
        model = coreml.linear_quantize_weights(model, coreml.OptimizationConfig(global_config=settings))
    return model


def _fits_float16(operation: Any) -> bool:
    """All but LightNL from its first product to its depthwise convolution: it is cubic, and float16 ends at 65,504."""
    return not _is_of_light_nl(operation)


def _is_of_light_nl(operation: Any) -> bool:
    if operation.op_type == "matmul":
        return True
    takes = [value.op for value in operation.inputs.values() if getattr(value, "op", None) is not None]
    return operation.op_type in ("real_div", "mul", "reshape", "conv") and any(map(_is_of_light_nl, takes))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _pack(package: Path, target: Path) -> None:
    """Zip a package, without compression."""
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(path for path in package.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(package.parent).as_posix(), _LONG_AGO)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())


def _without_chance(package: Path) -> None:
    """Order what is written in a random order, and replace random identifiers of files by those of their paths."""
    from coremltools.proto import Model_pb2

    described = package / "Data" / "com.apple.CoreML" / "model.mlmodel"
    content = Model_pb2.Model.FromString(described.read_bytes()).SerializeToString(deterministic=True)
    described.write_bytes(content)
    manifest = json.loads((package / "Manifest.json").read_text(encoding="utf-8"))
    text = json.dumps(manifest)
    for identifier, item in manifest["itemInfoEntries"].items():
        text = text.replace(identifier, str(uuid.uuid5(uuid.NAMESPACE_URL, item["path"])))
    ordered = json.dumps(json.loads(text), indent=4, sort_keys=True)
    (package / "Manifest.json").write_text(ordered, encoding="utf-8")
