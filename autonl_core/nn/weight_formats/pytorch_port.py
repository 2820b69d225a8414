"""`pytorch-port`: weights trained by the PyTorch port of AutoNL (yet_another_mobilenet_series).

The port divides LightNL's product by H / W, which is 1 on square maps, where the paper and its authors' code divide by
H * W; weights of the two are not interchangeable. So the network that comes out has the divisor "aspect" in its
architecture, and everything that is saved or exported of it keeps that.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autonl_core.errors import CheckpointError
from autonl_core.nn.checkpoint import check_fit
from autonl_core.nn.network import Network, build_network
from autonl_core.nn.weights import WeightFormat
from autonl_core.spec.arch import ArchSpec, BlockSpec

_ZIP_START = b"PK\x03\x04"
_PICKLE_START = b"\x80"  # of files that PyTorch wrote before version 1.6
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def load_port_weights(path: Path, arch: ArchSpec) -> Network:
    """A network of `arch` in evaluation mode, with the weights of a file that the port or its users saved.

    The file holds a state dict, plain or as `model` of a checkpoint, with or without `module.` before every name;
    averaged weights (`ema`) are preferred if the file has them. A checkpoint that also holds objects of the port, its
    meters for one, is refused: save only its model and ema.

    Raises:
        CheckpointError: unreadable, would run code, or does not fit: everything missing, unexpected or misshaped is
            listed.
    """
    found = _state_of(path)
    names = dict(port_names(arch))
    network = build_network(port_arch(arch)).eval()
    expected = {names[key]: value for key, value in network.state_dict().items() if key in names}
    counters = {key: value for key, value in expected.items() if key.endswith("num_batches_tracked")}
    check_fit(path, expected, counters | found)  # an average has no counters, and nothing needs them
    weights = {key: found.get(name, counters.get(name)) for key, name in names.items()}
    network.load_state_dict({key: value for key, value in weights.items() if value is not None})
    return network


def port_arch(arch: ArchSpec) -> ArchSpec:
    """`arch` with the port's divisor in every LightNL."""
    blocks = [
        replace(block, light_nl=replace(block.light_nl, divisor="aspect")) if block.light_nl else block
        for block in arch.blocks
    ]
    return replace(arch, blocks=tuple(blocks))


def _recognises(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_ZIP_START)).startswith((_ZIP_START, _PICKLE_START))


def _state_of(path: Path) -> dict[str, Tensor]:
    """Port name -> tensor. Read without running code."""
    try:
        _check_size(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors and numbers, and reading it would run code; open it where you trust it "
            f'and save {{"model": c["model"], "ema": c["ema"]}} of it ({str(error).splitlines()[0]})'
        ) from error
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{path} is not a readable PyTorch file: {error!r}") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a state dict")
    state = _tensors(path, content.get("model", content))
    averages = content.get("ema")
    if averages is not None:
        state |= _tensors(path, averages.get("shadow", averages) if isinstance(averages, Mapping) else averages)
    return state


def _check_size(path: Path) -> None:
    """PyTorch stores weights as they are, in a zip archive, but would also read one that inflates to any size."""
    with path.open("rb") as file:
        if file.read(len(_ZIP_START)) != _ZIP_START:
            return
    with zipfile.ZipFile(path) as archive:
        claimed, size_bytes = sum(info.file_size for info in archive.infolist()), path.stat().st_size
    if claimed > size_bytes:
        raise CheckpointError(
            f"{path} claims to hold {claimed:,} bytes and has {size_bytes:,}; PyTorch compresses nothing: save it again"
        )


def _tensors(path: Path, state: Any) -> dict[str, Tensor]:
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path} holds a {type(state).__name__} where a state dict should be")
    strangers = [f"{key!r} is a {type(value).__name__}" for key, value in state.items() if not _is_weight(key, value)]
    if strangers:
        raise CheckpointError(f"{path} holds entries that are no weights: {'; '.join(strangers)}")
    weights = {key.removeprefix("module."): value for key, value in state.items()}
    if len(weights) < len(state):
        raise CheckpointError(f"{path} holds the same names with and without 'module.'; it must be one network")
    return weights


def _is_weight(key: object, value: object) -> bool:
    if not (isinstance(key, str) and isinstance(value, Tensor) and value.layout == torch.strided):
        return False
    return not (value.is_meta or value.is_quantized or value.is_complex())


def port_names(arch: ArchSpec) -> Iterator[tuple[str, str]]:
    """Pairs (our name, the port's name) of every entry of the state dict."""
    yield from _conv_norm("stem", "features.0")
    for index, block in enumerate(arch.blocks):
        yield from _block_names(block, f"blocks.{index}", f"features.{index + 1}")
    yield from _conv_norm("head", f"features.{len(arch.blocks) + 1}")
    yield from _weight_and_bias("classifier", "classifier.1")


def _block_names(block: BlockSpec, ours: str, port: str) -> Iterator[tuple[str, str]]:
    if block.expand_ratio > 1:
        yield from _conv_norm(f"{ours}.expand", f"{port}.expand_conv")
    # The port selects channels before it convolves where it has expanded them: a layer that shifts the number.
    yield from _conv_norm(f"{ours}.depthwise", f"{port}.depth_ops.0.{int(block.expand_ratio > 1)}")
    if block.se_channels:
        yield from _weight_and_bias(f"{ours}.squeeze_excite.reduce", f"{port}.se_op.se_reduce")
        yield from _weight_and_bias(f"{ours}.squeeze_excite.expand", f"{port}.se_op.se_expand")
    yield from _conv_norm(f"{ours}.project", f"{port}.project_conv")
    if block.light_nl is not None:
        yield f"{ours}.light_nl.depthwise.weight", f"{port}.nl_op.depthwise_conv.weight"
        yield from _norm(f"{ours}.light_nl.norm", f"{port}.nl_op.bn")


def _conv_norm(ours: str, port: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.conv.weight", f"{port}.0.weight"
    yield from _norm(f"{ours}.norm", f"{port}.1")


def _norm(ours: str, port: str) -> Iterator[tuple[str, str]]:
    yield from ((f"{ours}.{name}", f"{port}.{name}") for name in _NORM)


def _weight_and_bias(ours: str, port: str) -> Iterator[tuple[str, str]]:
    yield from ((f"{ours}.{name}", f"{port}.{name}") for name in ("weight", "bias"))


MEMBER = WeightFormat(
    name="pytorch-port",
    summary="a state dict or checkpoint of the PyTorch port of AutoNL, saved by torch.save",
    recognises=_recognises,
    load=load_port_weights,
)
