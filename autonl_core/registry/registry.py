"""A registry whose members are the files of one package: to add a member is to add a file, and to edit nothing else.

    autonl_core/spec/spaces/mobile_32.py        MEMBER = SpaceFamily(name="mobile-32", ...)
    SPACES = Registry[SpaceFamily]("autonl_core.spec.spaces", "search space")

A member's name is that of its file, with `-` for `_`. So names can be listed, and validated against, without importing
a single member: the service offers an algorithm without loading the tensor code that runs it.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from autonl_core.errors import DuplicateMember, UnknownMember


class Named(Protocol):
    """What every member has."""

    @property
    def name(self) -> str: ...


Member = TypeVar("Member", bound=Named)


class Registry(Generic[Member]):
    """The members of `package`: every module in it whose name does not begin with `_` defines one, called MEMBER.

    Args:
        package: dotted name; it is imported, its modules only when a member is asked for.
        kind: what a member is called in messages.
        separator: what stands in names for the `_` of file names.
    """

    def __init__(self, package: str, kind: str, separator: str = "-") -> None:
        self.package, self.kind, self.separator = package, kind, separator

    def names(self) -> tuple[str, ...]:
        """The names of all members in alphabetical order. Imports none of them.

        Raises:
            DuplicateMember: two files have the same name.
        """
        return tuple(sorted(self._modules))

    def get(self, name: str) -> Member:
        """The member called `name`.

        Raises:
            UnknownMember: there is none.
            DuplicateMember: its file defines a member of another name.
        """
        if name not in self._modules:
            raise UnknownMember(f"{self.kind} {name!r} is unknown; known are {', '.join(self.names())}")
        module = importlib.import_module(self._modules[name])
        member: Member = module.MEMBER
        if member.name != name:
            raise DuplicateMember(
                f"{module.__name__} defines the {self.kind} {member.name!r}, its file name says {name!r}; rename one"
            )
        return member

    def members(self) -> Iterator[Member]:
        """All members in the order of their names; imports every one."""
        return (self.get(name) for name in self.names())

    @functools.cached_property
    def _modules(self) -> Mapping[str, str]:
        """Member name -> dotted module name."""
        found: dict[str, str] = {}
        for folder in importlib.import_module(self.package).__path__:
            for module in pkgutil.iter_modules([folder]):
                if module.name.startswith("_"):
                    continue
                name = module.name.replace("_", self.separator)
                if name in found:
                    raise DuplicateMember(f"two files in {self.package} define the {self.kind} {name!r}; remove one")
                found[name] = f"{self.package}.{module.name}"
        return found
