"""Opens timm where its user has put it, and gives its networks our weights.

Only networks that timm and `autonl_core/spec/zoo` both have, layer by layer: the two state dicts then have the same
tensors in the same order, and equal weights give equal outputs, which `benchmarks/peer_runs.py` asserts.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from torch import nn

from autonl_core.nn.blocks.conv import BN_EPS
from autonl_core.nn.network import Network

NETWORKS = {"efficientnet_b0": "efficientnet_b0", "mobilenet_v3_large": "mobilenetv3_large_100"}  # ours: timm's
HOW_TO_GET = "a folder filled by `pip install --target FOLDER --no-deps timm torchvision huggingface_hub`"


def is_timm(path: Path) -> bool:
    return (path / "timm" / "__init__.py").is_file()


def describe_timm(path: Path) -> dict[str, str]:
    """What of it is imported, and its version."""
    lines = (path / "timm" / "version.py").read_text().splitlines()
    version = next(line.split("=")[1].strip(" '\"") for line in lines if line.startswith("__version__"))
    return {"imports": f"timm.create_model of {', '.join(NETWORKS.values())}", "version": version}


def timm_network(path: Path, name: str, ours: Network) -> nn.Module:
    """timm's network of the same architecture as `ours`, with its weights."""
    if str(path) not in sys.path:
        sys.path.append(str(path))  # last, so that nothing of that folder replaces an installed package
    network: nn.Module = importlib.import_module("timm").create_model(
        NETWORKS[name], bn_eps=BN_EPS, drop_rate=0.0, num_classes=ours.arch.num_classes
    )
    expected, state = network.state_dict(), ours.state_dict()
    pairs = zip(expected.items(), state.values(), strict=True)
    network.load_state_dict({key: value.reshape(shaped.shape) for (key, shaped), value in pairs})
    return network
