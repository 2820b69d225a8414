"""Things that are added by writing a file: algorithms, export formats, data sources, search spaces, weight formats."""

from autonl_core.registry.registry import DuplicateMember, Named, Registry, UnknownMember

__all__ = ["DuplicateMember", "Named", "Registry", "UnknownMember"]
