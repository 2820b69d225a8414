"""Reads JSON into frozen dataclasses, by the types of their fields.

A service may be newer or older than its client: fields that a class does not have are left in its document, and what
the service does not send yet is None or empty where the type allows.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from autonl.errors import UnexpectedResponse

ModelT = TypeVar("ModelT")
_NONE = type(None)
_MISSING = object()


def read(kind: type[ModelT], document: Mapping[str, Any]) -> ModelT:
    """The dataclass `kind` with the values of a document. Raises UnexpectedResponse, naming the field."""
    return cast("ModelT", _reader(cast("Any", kind))(document, kind.__name__))


@functools.cache
def _reader(kind: Any) -> Callable[[Any, str], Any]:
    """A function of a JSON value and its place that returns the value as `kind`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or kind is object:
        return lambda value, _: value
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(cast("type[Any]", kind))
    if origin in (Union, types.UnionType) and _NONE in arguments:
        (other,) = (argument for argument in arguments if argument is not _NONE)
        read_other = _reader(other)
        return lambda value, place: None if value is None or value is _MISSING else read_other(value, place)
    if origin is tuple:
        read_item = _reader(arguments[0])  # of a tuple of one type, however long
        return lambda value, place: tuple(read_item(item, place) for item in _given(value, list, place, ()))
    if origin is Mapping:
        read_value = _reader(arguments[1])
        return lambda value, place: types.MappingProxyType(
            {name: read_value(item, f"{place}.{name}") for name, item in _given(value, dict, place, {}).items()}
        )
    if kind is datetime:
        return lambda value, place: datetime.fromisoformat(_given(value, str, place))
    if kind is float:
        return lambda value, place: float(_given(value, (int, float), place))
    return lambda value, place: _given(value, kind, place)


def _dataclass_reader(kind: type[Any]) -> Callable[[Any, str], Any]:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind) if field.name != "document"}
    keeps = any(field.name == "document" for field in dataclasses.fields(kind))

    def read_fields(value: Any, place: str) -> Any:
        given = _given(value, dict, place)
        values = {name: reader(given.get(name, _MISSING), f"{place}.{name}") for name, reader in readers.items()}
        return kind(**values, **({"document": given} if keeps else {}))

    return read_fields


def _given(value: Any, kind: Any, place: str, otherwise: Any = _MISSING) -> Any:
    """The value, if it is of that kind; if there is none, `otherwise`."""
    if value is _MISSING and otherwise is not _MISSING:
        return otherwise
    if not isinstance(value, kind):
        what = "nothing" if value is _MISSING else f"{type(value).__name__} {str(value)[:40]!r}"
        raise UnexpectedResponse(f"The service sent {what} as {place}", ["is the client older than the service?"])
    return value
