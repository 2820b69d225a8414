"""Things that are added by writing a file: algorithms, export formats, data sources, search spaces, weight formats."""

from autonl_core.registry.registry import DuplicateMember, Registry, UnknownMember

__all__ = ["DuplicateMember", "Registry", "UnknownMember"]
