"""Which export formats can be made here: some need packages that are installed only where someone wants them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from autonl_core.errors import FormatUnavailable
from autonl_core.export.format_spec import Extra
from autonl_core.spec.formats import NETWORK_FORMAT_SPECS, NetworkFormat


def installed_extras() -> frozenset[str]:
    """The names of the extras of all formats that are installed here."""
    extras = (spec.extra for spec in NETWORK_FORMAT_SPECS.values())
    return frozenset(extra.name for extra in extras if extra is not None and extra.is_installed())


def unavailable(formats: Iterable[NetworkFormat], extras: Container[str]) -> dict[NetworkFormat, Extra]:
    """Those of `formats` that cannot be made with `extras`, names of extras, and what each needs."""
    needed = {name: NETWORK_FORMAT_SPECS[name].extra for name in formats}
    return {name: extra for name, extra in needed.items() if extra is not None and extra.name not in extras}


def refusal(names: Sequence[NetworkFormat], extra: Extra) -> str:
    """Why a search that asks for these formats is refused, and what to do."""
    formats = " and ".join(map(repr, names))
    subject = f"the format {formats} needs" if len(names) == 1 else f"the formats {formats} need"
    return (
        f"{subject} the extra {extra.name!r}, which is not installed where searches run: there, {extra.command}; or "
        f"leave {'it' if len(names) == 1 else 'them'} out of `export.formats`"
    )


def require_extras(formats: Iterable[NetworkFormat]) -> None:
    """Raises FormatUnavailable if one of `formats` cannot be made here."""
    missing = unavailable(formats, installed_extras())
    extras = dict.fromkeys(missing.values())
    if extras:
        without = {extra: [name for name, needed in missing.items() if needed == extra] for extra in extras}
        raise FormatUnavailable("; ".join(refusal(names, extra) for extra, names in without.items()))
