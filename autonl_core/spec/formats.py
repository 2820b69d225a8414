"""The formats in which a trained network is delivered, as the API, the command line and the configuration name them.

They are the members of `autonl_core/export/formats`; this module lists none of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

from autonl_core.export.format_spec import FormatSpec, NetworkFormatSpec
from autonl_core.registry import DuplicateMember, Registry

REGISTRY = Registry[FormatSpec]("autonl_core.export.formats", "export format")


def in_order(formats: Iterable[FormatSpec]) -> dict[str, FormatSpec]:
    """Formats by name, in the order in which they are listed everywhere.

    Raises:
        DuplicateMember: two formats have the same file name or the same ending.
    """
    ordered = sorted(formats, key=lambda spec: (spec.order, spec.name))
    by_place: dict[tuple[str, str], FormatSpec] = {}
    for spec in ordered:
        for place in (("file name", spec.file_name), ("ending", spec.ending)):
            other = by_place.setdefault(place, spec)
            if other is not spec:
                raise DuplicateMember(
                    f"the export formats {other.name!r} and {spec.name!r} have the same {place[0]}, {place[1]}; "
                    "change one"
                )
    return {spec.name: spec for spec in ordered}


def _by_extra(specs: Iterable[NetworkFormatSpec]) -> dict[str, tuple[str, ...]]:
    """The formats that need each extra; see `format_spec.Extra`."""
    found: dict[str, tuple[str, ...]] = {}
    for spec in specs:
        if spec.extra is not None:
            found[spec.extra.name] = (*found.get(spec.extra.name, ()), spec.name)
    return found


FORMATS = in_order(REGISTRY.members())
NETWORK_FORMAT_SPECS = {name: spec for name, spec in FORMATS.items() if isinstance(spec, NetworkFormatSpec)}

FILE_FORMATS = tuple(FORMATS)
NETWORK_FORMATS = tuple(NETWORK_FORMAT_SPECS)  # what verify.py scores
EXPORT_FORMATS = tuple(name for name, spec in NETWORK_FORMAT_SPECS.items() if spec.availability != "always")
DEFAULT_EXPORT_FORMATS = tuple(name for name, spec in NETWORK_FORMAT_SPECS.items() if spec.availability == "default")
FORMATS_BY_EXTRA = _by_extra(NETWORK_FORMAT_SPECS.values())

if TYPE_CHECKING:  # the names are known at run time only
    FileFormat: TypeAlias = str
    ExportFormat: TypeAlias = str
    NetworkFormat: TypeAlias = str
else:
    FileFormat = Literal[FILE_FORMATS]
    ExportFormat = Literal[EXPORT_FORMATS]  # what `export.formats` may name; the others are always made
    NetworkFormat = Literal[NETWORK_FORMATS]
