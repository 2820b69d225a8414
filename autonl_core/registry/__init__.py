"""Things that are added by writing a file: algorithms, export formats, data sources, search spaces, weight formats."""

from autonl_core.errors import DuplicateMember, UnknownMember
from autonl_core.registry.registry import Named, Registry

__all__ = ["DuplicateMember", "Named", "Registry", "UnknownMember"]
