"""Weights of a known architecture, from whatever file holds them.

    network = load_weights(Path("autonl_s.pt"), ZOO["autonl_s"].arch)                   # as trained, 1,000 classes
    network = load_weights(Path("autonl_s.pt"), ZOO["autonl_s"].arch, num_classes=10)   # a fresh classifier

The formats are the files of `autonl_core/nn/weight_formats/`. Reading one never runs code that is in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autonl_core.errors import CheckpointError
from autonl_core.nn.network import Network, build_network
from autonl_core.nn.weight_file import WeightFile
from autonl_core.registry import Registry
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.published_net import adapt
from autonl_core.spec.weight_set import IMAGENET, Normalisation


@dataclass(frozen=True)
class FileDescription:
    """What a file of weights says itself of its network."""

    arch: ArchSpec
    normalisation: Normalisation
    source: str


@dataclass(frozen=True)
class WeightFormat:
    """A kind of file that holds the weights of a network.

    `recognises(file)` looks at the first bytes, and at the names of tensors if these are of a file of `torch.save`; no
    two formats recognise the same file. `load(file, arch)` gives a network in evaluation mode. Both raise
    CheckpointError for a file that is damaged or would run code, and `load` for one that does not fit: everything
    missing, unexpected or misshaped is listed. The network's architecture is `arch` but for what the weights were
    trained with otherwise. `describe(file)` is what the file says itself, None if it says nothing; it raises
    CheckpointError as well. `normalisation` is what these weights are usually trained with, where the file does not
    say.
    """

    name: str
    summary: str
    recognises: Callable[[WeightFile], bool]
    load: Callable[[WeightFile, ArchSpec], Network]
    describe: Callable[[WeightFile], FileDescription | None] = lambda file: None
    normalisation: Normalisation = IMAGENET


WEIGHT_FORMATS = Registry[WeightFormat]("autonl_core.nn.weight_formats", "weight format")


def load_weights(path: Path, arch: ArchSpec, *, num_classes: int | None = None, seed: int | None = None) -> Network:
    """A network of `arch` in evaluation mode, with the weights of the file at `path`.

    Given `num_classes`, the classifier is left out and a fresh one of that many classes, reproducible with `seed`, put
    in its place.

    Raises:
        CheckpointError: there is no such file, no format recognises it, it would run code, or it does not fit.
    """
    file = WeightFile(path)
    network = format_of(file).load(file, arch)
    return network if num_classes is None else with_fresh_classifier(network, num_classes, seed)


def with_fresh_classifier(network: Network, num_classes: int, seed: int | None = None) -> Network:
    """The same network for other classes: its classifier is initialised again, all other weights stay."""
    other = build_network(adapt(network.arch, num_classes=num_classes), seed=seed).eval()
    kept = {key: value for key, value in network.state_dict().items() if not key.startswith("classifier.")}
    other.load_state_dict(other.state_dict() | kept)
    return other


def format_of(file: WeightFile) -> WeightFormat:
    """The format that recognises `file`. Raises CheckpointError if none does, listing the known ones."""
    try:
        for weight_format in WEIGHT_FORMATS.members():
            if weight_format.recognises(file):
                return weight_format
        named = f" (its tensors are called {', '.join(list(file.tensors)[:3])}, ...)" if file.is_of_torch else ""
    except OSError as error:
        raise CheckpointError(f"{file.path} cannot be read: {error.strerror or error}") from error
    known = "; ".join(f"{weight_format.name}: {weight_format.summary}" for weight_format in WEIGHT_FORMATS.members())
    raise CheckpointError(f"{file.path} holds weights in no known format{named}; known are {known}")
