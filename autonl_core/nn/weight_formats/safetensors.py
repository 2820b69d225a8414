"""`safetensors`: a checkpoint of ours, as a search hands it over. It says itself which architecture it is of."""

from __future__ import annotations

from autonl_core.errors import CheckpointError
from autonl_core.nn.checkpoint import load_checkpoint
from autonl_core.nn.network import Network
from autonl_core.nn.weight_file import WeightFile
from autonl_core.nn.weights import WeightFormat
from autonl_core.spec.arch import ArchSpec

_LENGTH_BYTES = 8  # say how long the header is, which is a JSON object


def _recognises(file: WeightFile) -> bool:
    return file.start[_LENGTH_BYTES:].startswith(b"{")


def _load(file: WeightFile, arch: ArchSpec) -> Network:
    loaded = load_checkpoint(file.path)
    if loaded.arch != arch:
        raise CheckpointError(f"{file.path} holds architecture {loaded.arch.arch_id}, not {arch.arch_id}")
    return loaded.network


MEMBER = WeightFormat(
    name="safetensors",
    summary="a checkpoint downloaded from a search",
    recognises=_recognises,
    load=_load,
)
