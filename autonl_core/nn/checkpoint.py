"""A trained network as one safetensors file: tensors, and as metadata all that is needed to use it.

No pickle: reading it runs no code. Metadata: architecture, class names, channel mean and deviation, resolution, MACs
and the rule they are counted by, dataset name and fingerprint, and the format's version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from autonl_core.data.prepare import PreparedData
from autonl_core.datasets.spec import DatasetSpec, GreyRange, as_grey_range
from autonl_core.errors import ArchError, CheckpointError, CheckpointMisfit, Misfit
from autonl_core.nn.network import Network, build_network
from autonl_core.nn.safetensors_file import save_tensors
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.macs import COUNTING_RULE, count_macs

FORMAT = "autonl/1"
MAX_RESOLUTION = 1_024  # of a network in a file: what it is fed is computed at this size
MAX_BLOCKS = 1_000
MAX_LISTED = 1_000  # tensors in one error: more than a network has, fewer than a file may claim


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a checkpoint says of its network: how to feed and read it."""

    arch: ArchSpec
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dataset_name: str
    dataset_fingerprint: str
    grey_range: GreyRange | None = None  # as `DatasetSpec.grey_range`


@dataclass(frozen=True, kw_only=True)
class LoadedCheckpoint(Description):
    """A network in evaluation mode, and how to feed and read it."""

    network: Network


def save_checkpoint(path: Path, network: Network, dataset: DatasetSpec, data: PreparedData) -> None:
    """Write `network` to `path`, atomically. Raises CheckpointError for a fused one, which has lost its batch norms."""
    if network.fused:
        raise CheckpointError("a fused network cannot be saved; save the network that it was made from")
    preprocessing = {"mean": data.mean, "std": data.std, "resolution": network.arch.resolution}
    preprocessing["grey_range"] = data.grey_range
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
    save_tensors(path, tensors, metadata)


def load_checkpoint(path: Path, device: str = "cpu") -> LoadedCheckpoint:
    """Read a file of `save_checkpoint`.

    Raises:
        CheckpointError: not such a file, another version, or tensors that do not fit the architecture (all listed).
    """
    with _opened(path, device) as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise CheckpointError(f"{path} has format {metadata.get('format')!r}; this version reads {FORMAT!r}")
        description = _read_metadata(path, metadata)
        network = _read_network(path, file, description.arch, device)
    return LoadedCheckpoint(network=network, **vars(description))


def describe_checkpoint(path: Path) -> Description | None:
    """What a file of `save_checkpoint` says of its network; None for other safetensors files.

    Raises:
        CheckpointError: not a safetensors file, or one of another version of AutoNL.
    """
    with _opened(path, "cpu") as file:
        metadata = file.metadata() or {}
    found = metadata.get("format", "")
    if found == FORMAT:
        return _read_metadata(path, metadata)
    if found.startswith(FORMAT.partition("/")[0]):
        raise CheckpointError(f"{path} has format {found!r}; this version reads {FORMAT!r}")
    return None


def load_tensors(path: Path, arch: ArchSpec) -> Network:
    """A network of `arch` in evaluation mode, with the tensors of any safetensors file that has them by our names.

    Raises:
        CheckpointError: not a safetensors file, or its tensors do not fit (all listed).
    """
    with _opened(path, "cpu") as file:
        return _read_network(path, file, arch, "cpu")


@contextmanager
def _opened(path: Path, device: str) -> Iterator[safe_open]:
    """The file, opened for reading; its errors become CheckpointError."""
    try:
        with safe_open(path, framework="pt", device=device) as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is not a readable safetensors file: {error}") from error


def _read_network(path: Path, file: safe_open, arch: ArchSpec, device: str) -> Network:
    """The network, built once the tensors are known to fit."""
    names = file.keys()
    shapes = {name: torch.empty(file.get_slice(name).get_shape(), device="meta") for name in names}
    check_fit(path, _skeleton(path, arch).state_dict(), shapes)
    tensors = {name: file.get_tensor(name) for name in names}
    network = build_network(arch).to(device)
    network.load_state_dict(tensors)
    return network.eval()


def _read_metadata(path: Path, metadata: Mapping[str, str]) -> Description:
    try:
        arch = ArchSpec.from_json(json.loads(metadata["arch"]))
        preprocessing, dataset = json.loads(metadata["preprocessing"]), json.loads(metadata["dataset"])
        description = Description(
            arch=arch,
            classes=tuple(map(str, json.loads(metadata["classes"]))),
            mean=tuple(map(float, preprocessing["mean"])),
            std=tuple(map(float, preprocessing["std"])),
            dataset_name=str(dataset["name"]),
            dataset_fingerprint=str(dataset["fingerprint"]),
            grey_range=as_grey_range(preprocessing.get("grey_range")),
        )
    except (KeyError, ValueError, TypeError, RecursionError, ArchError) as error:
        raise CheckpointError(f"{path} has damaged metadata: {error!r}") from error
    if arch.resolution > MAX_RESOLUTION or len(arch.blocks) > MAX_BLOCKS:
        raise CheckpointError(
            f"{path} is for {arch.resolution} pixels and has {len(arch.blocks)} blocks; "
            f"at most {MAX_RESOLUTION} pixels and {MAX_BLOCKS} blocks are read"
        )
    return description


def _skeleton(path: Path, arch: ArchSpec) -> Network:
    """The network without memory for its weights: only those that a file really holds are worth any."""
    try:
        with torch.device("meta"):
            return Network(arch)
    except (RuntimeError, TypeError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path} has an architecture that cannot be built: {reason}") from error


def weights_sha256(tensors: Mapping[str, Tensor]) -> str:
    """A hash of names and values alone: equal for equal networks, whatever file or layout they come in."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        value = tensors[key].detach().cpu().contiguous()
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def check_fit(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Raises CheckpointMisfit listing the tensors that are missing, unexpected or misshaped in `found`."""
    misfits = [Misfit(key, tuple(value.shape), None) for key, value in expected.items() if key not in found]
    misfits += [Misfit(key, None, tuple(value.shape)) for key, value in found.items() if key not in expected]
    misfits += [
        Misfit(key, tuple(value.shape), tuple(found[key].shape))
        for key, value in expected.items()
        if key in found and found[key].shape != value.shape
    ]
    if misfits:
        shown = "; ".join(list_misfits(misfits))
        raise CheckpointMisfit(f"{path} does not fit its architecture: {shown}", misfits)


def list_misfits(misfits: Sequence[Misfit]) -> list[str]:
    """A sentence for each, up to MAX_LISTED, and how many more there are."""
    shown = [str(misfit) for misfit in misfits[:MAX_LISTED]]
    return shown if len(misfits) <= MAX_LISTED else [*shown, f"and {len(misfits) - MAX_LISTED:,} more"]
