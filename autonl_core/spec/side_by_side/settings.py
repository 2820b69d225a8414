"""The settings in which searches differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autonl_core.spec.config import SearchConfig

_WITHOUT = ("repeat_of",)  # the service sets it; seeds say what differs
_MISSING = object()
# Configurations leave out new settings that have their defaults (`SearchConfig.to_json`).
_DEFAULTS = SearchConfig(dataset="any", flops_budget=1).model_dump(mode="json")


@dataclass(frozen=True)
class DifferingSetting:
    """A setting in which searches differ.

    Args:
        path: its name with those of its sections, such as "train.epochs".
        values: as JSON, in the order of the searches; None also where a search does not know the setting.
    """

    path: str
    values: tuple[Any, ...]


def differing_settings(configs: Sequence[Mapping[str, Any]]) -> list[DifferingSetting]:
    """What differs between stored configurations, in the order in which a configuration has its settings.

    Configurations of other versions may have settings that this one does not know; they are compared all the same.
    """
    flat = [dict(_flat(_filled(config, _DEFAULTS))) for config in configs]
    paths = dict.fromkeys(path for config in flat for path in config)
    found = []
    for path in paths:
        values = [config.get(path, _MISSING) for config in flat]
        if path not in _WITHOUT and any(not _is_same(value, values[0]) for value in values):
            found.append(DifferingSetting(path, tuple(None if value is _MISSING else value for value in values)))
    return found


def _filled(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with the defaults of what it lacks, also in its sections."""
    filled = {**defaults, **config}
    for name, default in defaults.items():
        if isinstance(default, dict) and isinstance(filled[name], dict):
            filled[name] = _filled(filled[name], default)
    return filled


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path -> value of everything that is no section. A list is one value."""
    for name, value in config.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _is_same(one: Any, other: Any) -> bool:
    """As JSON: 1 and 1.0 are the same number, but true is none."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
