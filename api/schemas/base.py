"""What all responses share, and how a view is derived from a dataclass of the core."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Self, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

CountingRule = Annotated[str, Field(description="what counts as MACs in this response")]
ViewT = TypeVar("ViewT", bound="View")


class View(BaseModel):
    """Base of all response bodies; built by attribute from rows and dataclasses."""

    model_config = ConfigDict(from_attributes=True)


class MacsRange(View):
    """MACs of the smallest and the largest network of a search space."""

    min_macs: int
    max_macs: int

    @classmethod
    def of(cls, macs_range: tuple[int, int]) -> Self:
        low, high = macs_range
        return cls(min_macs=low, max_macs=high)


def mirrors(
    source: type,
    *,
    without: Collection[str] = (),
    types: Mapping[str, Any] | None = None,
    descriptions: Mapping[str, str] | None = None,
) -> Callable[[type[ViewT]], type[ViewT]]:
    """Class decorator that gives a view the fields of the dataclass `source`, in their order.

    A field added to the dataclass thereby appears in responses and in OpenAPI without a second edit. Every field is
    required, because responses are complete.

    Args:
        without: fields that are not public.
        types: public types of fields whose type in the core is not public, such as nested dataclasses.
        descriptions: OpenAPI descriptions of fields whose name does not say everything.
    Raises:
        TypeError: an argument names a field that the dataclass does not have.
    """
    types, descriptions = types or {}, descriptions or {}
    hints = get_type_hints(source)
    names = [field.name for field in dataclasses.fields(source)]
    if unknown := {*without, *types, *descriptions} - set(names):
        raise TypeError(f"{source.__name__} has no field {', '.join(sorted(unknown))}")
    public: dict[str, Any] = {}
    for name in names:
        if name not in without:
            public[name] = types.get(name, hints[name]), Field(description=descriptions.get(name))

    def derive(view: type[ViewT]) -> type[ViewT]:
        return create_model(view.__name__, __base__=view, __module__=view.__module__, __doc__=view.__doc__, **public)

    return derive
