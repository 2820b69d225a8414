"""`safetensors`: a checkpoint of ours, which says itself which architecture it is of, or tensors by our names alone."""

from __future__ import annotations

from autonl_core.errors import CheckpointError, WeightSetError
from autonl_core.nn.checkpoint import describe_checkpoint, load_checkpoint, load_tensors
from autonl_core.nn.network import Network
from autonl_core.nn.weight_file import WeightFile
from autonl_core.nn.weights import FileDescription, WeightFormat
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.weight_set import Normalisation

_LENGTH_BYTES = 8  # say how long the header is, which is a JSON object


def _recognises(file: WeightFile) -> bool:
    return file.start[_LENGTH_BYTES:].startswith(b"{")


def _load(file: WeightFile, arch: ArchSpec) -> Network:
    if describe_checkpoint(file.path) is None:
        return load_tensors(file.path, arch)
    loaded = load_checkpoint(file.path)
    if loaded.arch != arch:
        raise CheckpointError(f"{file.path} holds architecture {loaded.arch.arch_id}, not {arch.arch_id}")
    return loaded.network


def _describe(file: WeightFile) -> FileDescription | None:
    described = describe_checkpoint(file.path)
    if described is None:
        return None
    try:
        normalisation = Normalisation.from_json({"mean": described.mean, "std": described.std})
    except WeightSetError as error:
        raise CheckpointError(f"{file.path} has damaged metadata: {error}") from error
    source = f"a search by AutoNL, trained on dataset {described.dataset_name!r} ({described.dataset_fingerprint})"
    return FileDescription(described.arch, normalisation, source)


MEMBER = WeightFormat(
    name="safetensors",
    summary="a checkpoint downloaded from a search, or tensors by the same names",
    recognises=_recognises,
    load=_load,
    describe=_describe,
)
