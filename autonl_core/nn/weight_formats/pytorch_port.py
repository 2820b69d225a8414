"""`pytorch-port`: weights trained by the PyTorch port of AutoNL (yet_another_mobilenet_series).

The port divides LightNL's product by H / W, which is 1 on square maps, where the paper and its authors' code divide by
H * W; weights of the two are not interchangeable. So the network that comes out has the divisor "aspect" in its
architecture, and everything that is saved or exported of it keeps that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from autonl_core.nn.network import Network
from autonl_core.nn.weight_file import WeightFile, norm_names
from autonl_core.nn.weights import WeightFormat
from autonl_core.spec.arch import ArchSpec, BlockSpec


def load_port_weights(path: Path, arch: ArchSpec) -> Network:
    """A network of `arch` in evaluation mode, with the weights of a file that the port or its users saved.

    The file holds a state dict, plain or as `model` of a checkpoint, with or without `module.` before every name;
    averaged weights (`ema`) are preferred if the file has them. A checkpoint that also holds objects of the port, its
    meters for one, is refused: save only its model and ema.

    Raises:
        CheckpointError: unreadable, would run code, or does not fit: everything missing, unexpected or misshaped is
            listed.
    """
    return _load(WeightFile(path), arch)


def port_arch(arch: ArchSpec) -> ArchSpec:
    """`arch` with the port's divisor in every LightNL."""
    blocks = [
        replace(block, light_nl=replace(block.light_nl, divisor="aspect")) if block.light_nl else block
        for block in arch.blocks
    ]
    return replace(arch, blocks=tuple(blocks))


def _recognises(file: WeightFile) -> bool:
    return file.has_names_of("features.")


def _load(file: WeightFile, arch: ArchSpec) -> Network:
    return file.load(port_arch(arch), dict(port_names(arch)))


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
        yield from norm_names(f"{ours}.light_nl.norm", f"{port}.nl_op.bn").items()


def _conv_norm(ours: str, port: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.conv.weight", f"{port}.0.weight"
    yield from norm_names(f"{ours}.norm", f"{port}.1").items()


def _weight_and_bias(ours: str, port: str) -> Iterator[tuple[str, str]]:
    yield from ((f"{ours}.{name}", f"{port}.{name}") for name in ("weight", "bias"))


MEMBER = WeightFormat(
    name="pytorch-port",
    summary="a state dict or checkpoint of the PyTorch port of AutoNL, saved by torch.save",
    recognises=_recognises,
    load=_load,
)
