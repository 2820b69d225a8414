"""The check of an uploaded file of weights: which architecture it holds, and whether it can be used.

Run it in a process of its own: the file is not trusted. Reading it never runs code that is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from autonl_core.errors import CheckpointError, CheckpointMisfit, Misfit
from autonl_core.nn.checkpoint import list_misfits
from autonl_core.nn.network import Network
from autonl_core.nn.weight_file import WeightFile
from autonl_core.nn.weights import FileDescription, WeightFormat, format_of
from autonl_core.spec.arch import ArchSpec
from autonl_core.spec.arch_string import encode
from autonl_core.spec.published_net import adapt
from autonl_core.spec.weight_set import Normalisation, WeightProblem, WeightSetDetails, network_of
from autonl_core.spec.zoo import ZOO, find_net

OnProgress = Callable[[float], None]
Load = Callable[[ArchSpec], Network]  # gives the network of this architecture that the file holds
MAX_CLASSES = 100_000  # of a classifier whose size the file decides
# Characters of text that comes from the file, which may be as long as the file.
_MAX_ARCH_STRING, _MAX_TENSOR, _MAX_SOURCE, _MAX_DETAIL = 200, 500, 500, 10_000


@dataclass(frozen=True)
class CheckedFile:
    """What a usable file of weights holds. `source` is what it says of its origin itself."""

    arch: ArchSpec
    network: str | None
    normalisation: Normalisation
    format: str
    source: str | None


class WeightsRefused(Exception):
    """The file cannot be used, for the reason `problem`."""

    def __init__(self, problem: WeightProblem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def check_weights(path: Path, details: WeightSetDetails, on_progress: OnProgress = lambda share: None) -> CheckedFile:
    """Read the file completely, and find its architecture: it says so, `details` do, or only one of the zoo fits.

    The number of classes is that of the file.

    Raises:
        WeightsRefused: it is damaged or foreign, would run code, does not fit, or what it belongs to remains open.
    """
    try:
        file = WeightFile(path)
        weight_format = format_of(file)
        described = weight_format.describe(file)
        load = partial(weight_format.load, file)  # reads it once, however many networks are tried
        name, network = _read(load, details.network, described, on_progress)
    except CheckpointMisfit as misfit:
        raise _does_not_fit(misfit, details.network) from misfit
    except CheckpointError as error:
        raise _refused("not_readable", str(error).replace(str(path), "the file")) from error
    _require_finite(network)
    return CheckedFile(
        arch=network.arch,
        network=name,
        normalisation=_normalisation(weight_format, described, details),
        format=weight_format.name,
        source=_cut(described.source, _MAX_SOURCE) if described else None,
    )


def _read(
    load: Load, named: str | None, described: FileDescription | None, on_progress: OnProgress
) -> tuple[str | None, Network]:
    """The name in the zoo, if it has one, and the network."""
    if described is not None:
        found = network_of(described.arch)
        if named not in (None, found):
            held = found or _cut(encode(described.arch), _MAX_ARCH_STRING)
            raise _refused("other_architecture", f"the file says that it holds {held}, not {named}; leave out `arch`")
        return found, load(described.arch)
    if named is not None:
        return named, _load_with_its_classes(load, find_net(named).arch)
    return _recognise(load, on_progress)


def _recognise(load: Load, on_progress: OnProgress) -> tuple[str, Network]:
    """The only network of the zoo that the weights fit."""
    fitting: dict[str, Network] = {}
    misfits: dict[str, tuple[Misfit, ...]] = {}  # not the errors, which would keep all networks in memory
    reason = ""
    for count, net in enumerate(ZOO.values(), start=1):
        try:
            fitting[net.name] = _load_with_its_classes(load, net.arch)
        except CheckpointMisfit as misfit:
            misfits[net.name] = misfit.misfits
        except CheckpointError as error:  # its format cannot hold this network; or any
            reason = str(error)
        on_progress(count / len(ZOO))
    if len(fitting) == 1:
        return next(iter(fitting.items()))
    if fitting:
        detail = f"the weights fit several networks, {', '.join(fitting)}; state which they belong to, as `arch`"
        raise _refused("unknown_architecture", detail)
    if not misfits:
        raise CheckpointError(reason)
    raise _fits_none(misfits)


def _fits_none(misfits: Mapping[str, Sequence[Misfit]]) -> WeightsRefused:
    closest = min(misfits, key=lambda name: len(misfits[name]))
    return _refused(
        "unknown_architecture",
        f"the file does not say which architecture it holds, and fits none of {', '.join(ZOO)}; the closest is "
        f"{closest}, with {len(misfits[closest]):,} tensors that do not fit. Upload a checkpoint of AutoNL, which says "
        "it, or weights of one of these networks",
        list_misfits(misfits[closest]),
    )


def _load_with_its_classes(load: Load, arch: ArchSpec) -> Network:
    """The network, for as many classes as the file has."""
    try:
        return load(arch)
    except CheckpointMisfit as misfit:
        num_classes = _other_classes(misfit, arch)
        if num_classes is None:
            raise
    return load(adapt(arch, num_classes=num_classes))


def _other_classes(misfit: CheckpointMisfit, arch: ArchSpec) -> int | None:
    """How many classes the file is for: the rows of its classifier, which no other tensor of `arch` has as many of."""
    found = {
        shape[0]
        for _, needed, shape in misfit.misfits
        if needed and shape and needed[0] == arch.num_classes and needed[1:] == shape[1:]
    }
    (num_classes,) = found if len(found) == 1 else (0,)
    return num_classes if 2 <= num_classes <= MAX_CLASSES else None


def _require_finite(network: Network) -> None:
    bad = [name for name, value in network.state_dict().items() if not bool(torch.isfinite(value).all())]
    if bad:
        detail = f"{len(bad):,} tensors hold numbers that are not finite; the training diverged, or the file is damaged"
        raise _refused("not_finite", detail, bad)


def _normalisation(
    weight_format: WeightFormat, described: FileDescription | None, details: WeightSetDetails
) -> Normalisation:
    """What the uploader states, what the file says, or what such weights are usually trained with."""
    return details.normalisation or (described.normalisation if described else weight_format.normalisation)


def _does_not_fit(misfit: CheckpointMisfit, named: str | None) -> WeightsRefused:
    held = named or "the architecture that the file names"
    detail = f"{len(misfit.misfits):,} tensors do not fit {held}; check that the file belongs to it"
    return _refused("does_not_fit", detail, list_misfits(misfit.misfits))


def _refused(code: str, detail: str, tensors: Sequence[str] = ()) -> WeightsRefused:
    shown = tuple(_cut(tensor, _MAX_TENSOR) for tensor in tensors)
    return WeightsRefused(WeightProblem(code, _cut(detail, _MAX_DETAIL), shown))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "…"
