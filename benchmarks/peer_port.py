"""Opens the PyTorch port of AutoNL where its user has put it, and gives its networks our weights.

The port's own modules are imported, unchanged, as its own configuration builds them
(`apps/searched/autonl/autonl_s.yml`). It reads that when it is first imported, so a process can build one of its
networks only. Beside torch it needs PyYAML and packaging.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path
from typing import Any

from torch import nn

from autonl_core.nn.blocks.light_nl import LightNL
from autonl_core.nn.network import Network
from autonl_core.nn.weight_formats.pytorch_port import port_arch, port_names
from autonl_core.spec.arch import ArchSpec, LightNLSpec
from autonl_core.spec.zoo import ZOO

NETWORKS = ("autonl_s", "autonl_l")
HOW_TO_GET = "a checkout of https://github.com/meijieru/yet_another_mobilenet_series"
_FILES = ("models/mobilenet_supernet.py", "models/mobilenet_base.py")


def is_port(path: Path) -> bool:
    return all((path / file).is_file() for file in _FILES)


def describe_port(path: Path) -> dict[str, str]:
    """What of it is imported, and the digests of these files."""
    names = {"imports": "models.mobilenet_supernet.Model, models.mobilenet_base.Nonlocal"}
    return names | {file: hashlib.sha256((path / file).read_bytes()).hexdigest()[:16] for file in _FILES}


def arch_of_port(name: str) -> ArchSpec:
    """The architecture of one of its networks."""
    return port_arch(ZOO[name].arch)


def port_network(path: Path, name: str, ours: Network, resolution: int) -> nn.Module:
    """The port's network of this name for inputs of `resolution` pixels, with the weights of `ours`."""
    flags = _open(path, name)
    parameters = {**flags.model_kwparams, "dropout_ratio": 0.0, "input_size": resolution}
    network: nn.Module = importlib.import_module(flags.model).Model(**parameters)
    names, state = dict(port_names(ours.arch)), ours.state_dict()
    network.load_state_dict({names[key]: value for key, value in state.items()})
    return network


def port_light_nl(path: Path, ours: LightNL, channels: int, spec: LightNLSpec) -> nn.Module:
    """The port's LightNL block, with the weights of `ours`."""
    _open(path, NETWORKS[0])
    norm = {"eps": ours.norm.eps, "momentum": ours.norm.momentum}
    block: nn.Module = importlib.import_module("models.mobilenet_base").Nonlocal(
        channels, spec.nl_ratio, spec.nl_stride, batch_norm_kwargs=norm
    )
    names = {"depthwise": "depthwise_conv", "norm": "bn"}
    state = {key.partition("."): value for key, value in ours.state_dict().items()}
    block.load_state_dict({f"{names[layer]}.{rest}": value for (layer, _, rest), value in state.items()})
    return block


def _open(path: Path, name: str) -> Any:
    """The port's configuration for a network. It takes the file's name from the command line, so it is given one."""
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))
    arguments = sys.argv
    sys.argv = [arguments[0], f"app:{path}/apps/searched/autonl/{name}.yml"]
    try:
        return importlib.import_module("utils.config").FLAGS
    finally:
        sys.argv = arguments
