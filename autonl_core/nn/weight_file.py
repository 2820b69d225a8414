"""A file of weights whose format is not known yet: what is in it, read once, however many formats ask.

Files of `torch.save` are read without running code that is in them.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autonl_core.errors import CheckpointError
from autonl_core.nn.checkpoint import check_fit
from autonl_core.nn.network import Network, build_network
from autonl_core.spec.arch import ArchSpec

START_BYTES = 16
_ZIP_START = b"PK\x03\x04"
_PICKLE_START = b"\x80"  # of files that PyTorch wrote before version 1.6


class WeightFile:
    """The file at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def start(self) -> bytes:
        """Its first START_BYTES. Raises OSError."""
        with self.path.open("rb") as file:
            return file.read(START_BYTES)

    @property
    def is_of_torch(self) -> bool:
        """Whether it begins like a file of `torch.save`. Raises OSError."""
        return self.start.startswith((_ZIP_START, _PICKLE_START))

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """Name -> tensor of a file of `torch.save`.

        It holds a state dict, plain or as `model` of a checkpoint, with or without `module.` before every name;
        averaged weights (`ema`) are preferred if the file has them.

        Raises:
            CheckpointError: unreadable, would run code, or holds something else than weights.
        """
        content = self._content()
        if not isinstance(content, Mapping):
            raise CheckpointError(f"{self.path} holds a {type(content).__name__}, not a state dict")
        state = _tensors(self.path, content.get("model", content))
        averages = content.get("ema")
        if averages is not None:
            shadow = averages.get("shadow", averages) if isinstance(averages, Mapping) else averages
            state |= _tensors(self.path, shadow)
        return state

    def has_names_of(self, prefix: str) -> bool:
        """Whether it is a file of `torch.save` with a tensor of such a name.

        Raises:
            CheckpointError: it begins like one, and is unreadable, would run code, or holds something else.
            OSError: it cannot be opened.
        """
        return self.is_of_torch and any(name.startswith(prefix) for name in self.tensors)

    def load(self, arch: ArchSpec, names: Mapping[str, str]) -> Network:
        """A network of `arch` in evaluation mode with the weights of a file of `torch.save`.

        names: our name of every tensor of the network -> its name in the file.

        Raises:
            CheckpointError: unreadable, would run code, or does not fit: everything missing, unexpected or misshaped
                is listed, and everything that the file has no name for.
        """
        network = build_network(arch).eval()
        state = network.state_dict()
        nameless = [key for key in state if key not in names]
        if nameless:
            raise CheckpointError(
                f"{self.path} cannot hold this architecture: files of its format have no {', '.join(nameless)}"
            )
        expected = {names[key]: value for key, value in state.items()}
        counters = {key: value for key, value in expected.items() if key.endswith("num_batches_tracked")}
        found = counters | dict(self.tensors)  # an average has no counters, and nothing needs them
        check_fit(self.path, expected, found)
        network.load_state_dict({key: found[names[key]] for key in state})
        return network

    def _content(self) -> Any:
        try:
            _check_size(self.path)
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise CheckpointError(
                f"{self.path} holds more than tensors and numbers, and reading it would run code; open it where you "
                f'trust it and save {{"model": c["model"], "ema": c["ema"]}} of it ({str(error).splitlines()[0]})'
            ) from error
        except CheckpointError:
            raise
        except Exception as error:
            raise CheckpointError(f"{self.path} is not a readable PyTorch file: {error!r}") from error


def _check_size(path: Path) -> None:
    """PyTorch stores weights as they are, in a zip archive, but would also read one that inflates to any size."""
    with path.open("rb") as file:
        if file.read(len(_ZIP_START)) != _ZIP_START:
            return
    with zipfile.ZipFile(path) as archive:
        claimed, size_bytes = sum(info.file_size for info in archive.infolist()), path.stat().st_size
    if claimed > size_bytes:
        raise CheckpointError(
            f"{path} claims to hold {claimed:,} bytes and has {size_bytes:,}; PyTorch compresses nothing: save it again"
        )


def _tensors(path: Path, state: Any) -> dict[str, Tensor]:
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path} holds a {type(state).__name__} where a state dict should be")
    strangers = [f"{key!r} is a {type(value).__name__}" for key, value in state.items() if not _is_weight(key, value)]
    if strangers:
        raise CheckpointError(f"{path} holds entries that are no weights: {'; '.join(strangers)}")
    weights = {key.removeprefix("module."): value for key, value in state.items()}
    if len(weights) < len(state):
        raise CheckpointError(f"{path} holds the same names with and without 'module.'; it must be one network")
    return weights


def _is_weight(key: object, value: object) -> bool:
    if not (isinstance(key, str) and isinstance(value, Tensor) and value.layout == torch.strided):
        return False
    return not (value.is_meta or value.is_quantized or value.is_complex())


def norm_names(ours: str, theirs: str) -> dict[str, str]:
    """The tensors of a batch norm, which PyTorch names, so that every file has them alike."""
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in parts}
