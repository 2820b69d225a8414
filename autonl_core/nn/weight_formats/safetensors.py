"""`safetensors`: a checkpoint of ours, as a search hands it over. It says itself which architecture it is of."""

from __future__ import annotations

from pathlib import Path

from autonl_core.errors import CheckpointError
from autonl_core.nn.checkpoint import load_checkpoint
from autonl_core.nn.network import Network
from autonl_core.nn.weights import WeightFormat
from autonl_core.spec.arch import ArchSpec

_START_BYTES = 9  # eight of them say how long the header is, which is a JSON object


def _recognises(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_START_BYTES)[8:] == b"{"


def _load(path: Path, arch: ArchSpec) -> Network:
    loaded = load_checkpoint(path)
    if loaded.arch != arch:
        raise CheckpointError(f"{path} holds architecture {loaded.arch.arch_id}, not {arch.arch_id}")
    return loaded.network


MEMBER = WeightFormat(
    name="safetensors",
    summary="a checkpoint downloaded from a search",
    recognises=_recognises,
    load=_load,
)
