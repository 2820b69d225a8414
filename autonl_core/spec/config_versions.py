"""Which settings other versions know: the last release runs beside this version while a service is upgraded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

# Unknown to the last release:
_SINCE_LAST_RELEASE = (
    "priority",
    "resource_class",
    "max_compute_s",
    "precision",
    "batch_parts",
    "batch_statistics",
    "constraints",
)
_SINCE_LAST_RELEASE_IN = {  # by section
    "train": ("schedule", "lr_decay", "lr_decay_epochs", "stochastic_depth", "bn_momentum", "bn_statistics"),
    "teacher": ("bn_statistics",),
    "augment": ("whole_pictures",),
}
_RETIRED = {"supernet": ("alpha_lr", "ramp_fraction")}  # by section: settings of earlier versions


def unused_new_settings(config: BaseModel) -> dict[str, Any]:
    """What the last release does not know and `config` leaves at its default, as `exclude` of `model_dump` takes it."""
    sections = {name: _unused(getattr(config, name), new) for name, new in _SINCE_LAST_RELEASE_IN.items()}
    return {**dict.fromkeys(_unused(config, _SINCE_LAST_RELEASE), True), **sections}


def without_retired(config: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config without the settings that are no more."""
    return {section: _kept_of(section, value) for section, value in config.items()}


def _unused(settings: BaseModel, names: Sequence[str]) -> set[str]:
    """Which of these settings have their defaults."""
    fields = type(settings).model_fields
    return {name for name in names if getattr(settings, name) == fields[name].default}


def _kept_of(section: str, value: Any) -> Any:
    retired = _RETIRED.get(section)
    return value if retired is None else {key: kept for key, kept in value.items() if key not in retired}
