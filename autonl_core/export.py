"""A trained network as one safetensors file: tensors, and as metadata all that is needed to use it.

No pickle: reading it runs no code. Metadata: architecture, class names, channel mean and deviation, resolution, MACs
and the rule they are counted by, data set name and fingerprint, and the format's version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from autonl_core.arch import ArchSpec
from autonl_core.checkpoint import check_fit
from autonl_core.data.prepare import PreparedData
from autonl_core.datasets import DatasetSpec
from autonl_core.errors import ArchError, CheckpointError
from autonl_core.files import write_atomically
from autonl_core.macs import COUNTING_RULE, count_macs
from autonl_core.network import Network, build_network

FORMAT = "autonl/1"


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A network in evaluation mode, and how to feed and read it."""

    network: Network
    arch: ArchSpec
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dataset_name: str
    dataset_fingerprint: str


def save_checkpoint(path: Path, network: Network, dataset: DatasetSpec, data: PreparedData) -> None:
    """Write `network` to `path`, atomically. Raises CheckpointError for a fused one, which has lost its batch norms."""
    if network.fused:
        raise CheckpointError("a fused network cannot be saved; save the network that it was made from")
    preprocessing = {"mean": data.mean, "std": data.std, "resolution": network.arch.resolution}
    metadata = {
        "format": FORMAT,
        "arch": json.dumps(network.arch.to_json(), sort_keys=True),
        "classes": json.dumps(dataset.classes),
        "preprocessing": json.dumps(preprocessing),
        "macs": str(count_macs(network.arch).total),
        "macs_rule": COUNTING_RULE,
        "dataset": json.dumps({"name": dataset.name, "fingerprint": dataset.fingerprint}),
    }
    tensors = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))


def load_checkpoint(path: Path, device: str = "cpu") -> LoadedCheckpoint:
    """Read a file of `save_checkpoint`.

    Raises:
        CheckpointError: not such a file, another version, or tensors that do not fit the architecture (all listed).
    """
    try:
        with safe_open(path, framework="pt", device=device) as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {metadata.get('format')!r}; this version reads {FORMAT!r}")
    try:
        arch = ArchSpec.from_json(json.loads(metadata["arch"]))
        preprocessing, dataset = json.loads(metadata["preprocessing"]), json.loads(metadata["dataset"])
        classes = tuple(json.loads(metadata["classes"]))
    except (KeyError, ValueError, ArchError) as error:
        raise CheckpointError(f"{path} has damaged metadata: {error!r}") from error
    network = build_network(arch).to(device)
    check_fit(path, network.state_dict(), tensors)
    network.load_state_dict(tensors)
    return LoadedCheckpoint(
        network=network.eval(),
        arch=arch,
        classes=classes,
        mean=tuple(preprocessing["mean"]),
        std=tuple(preprocessing["std"]),
        dataset_name=dataset["name"],
        dataset_fingerprint=dataset["fingerprint"],
    )


def weights_sha256(tensors: Mapping[str, Tensor]) -> str:
    """A hash of names and values alone: equal for equal networks, whatever file or layout they come in."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        value = tensors[key].detach().cpu().contiguous()
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
