"""Parameters that routes share: the stores of the process, ids, times, and conditional headers."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request
from pydantic import AfterValidator, PlainValidator, StringConstraints, TypeAdapter

from store.json_values import plain_text
from store.stores import Stores


async def _stores(request: Request) -> Stores:
    stores: Stores = request.app.state.stores  # asynchronous, because other dependencies take a thread each time
    return stores


StoresDep = Annotated[Stores, Depends(_stores)]
# Characters that no database can store are removed, so that an impossible id is simply not found.
PlainText = Annotated[str, AfterValidator(plain_text), StringConstraints(max_length=64)]
SearchId = Annotated[PlainText, Path(description="id of a search")]
ArchId = Annotated[PlainText, Path(description="id of an architecture")]
SearchIdQuery = Annotated[PlainText | None, Query(alias="search_id", description="the search that found it")]
IfNoneMatch = Annotated[str | None, Header(description="an ETag; the response is 304 while it is current")]
IfMatch = Annotated[str | None, Header(description="an ETag; the response is 412 unless it is current")]
IdempotencyKey = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")] | None,
    Header(description="repeating a request with the same key and body returns the first response again"),
]

_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_RFC_3339_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ANY_DATETIME = TypeAdapter(datetime)
_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def _parse_timestamp(text: object) -> datetime:
    """A time in RFC 3339, and nothing else that pydantic accepts: seconds since 1970, a date, a time without a zone."""
    try:
        if not isinstance(text, str) or _RFC_3339.fullmatch(text) is None:
            raise ValueError
        timestamp = _ANY_DATETIME.validate_python(text)
    except ValueError:
        raise ValueError("must be a time with a time zone, as in 2026-01-31T12:00:00Z") from None
    try:
        return timestamp.astimezone(UTC)
    except OverflowError:  # within the years 1 to 9999 in its own zone, but not in UTC
        return _EARLIEST if timestamp.year == 1 else _LATEST


def _parse_day(text: object) -> date:
    """A day in RFC 3339, and nothing else that pydantic accepts: seconds since 1970, a time at midnight."""
    try:
        if not isinstance(text, str) or _RFC_3339_DAY.fullmatch(text) is None:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a day, as in 2026-01-31") from None


Day = Annotated[date, PlainValidator(_parse_day, json_schema_input_type=date)]
Timestamp = Annotated[datetime, PlainValidator(_parse_timestamp, json_schema_input_type=datetime), Query()]


def matches(etag: str, header: str) -> bool:
    """Whether a header lists the entity tag `etag`, or is `*`."""
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return etag in tags or "*" in tags
