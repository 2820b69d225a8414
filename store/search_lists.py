"""Lists of searches, page by page: each page begins where the one before it ended, by the index of its filter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Select, exists, literal, select, tuple_
from sqlalchemy.orm import Session, aliased

from store.json_values import plain_text
from store.models import Search, SearchLabel
from store.page_tokens import make_token, malformed, read_token
from store.states import SearchState


@dataclass(frozen=True)
class SearchFilter:
    """Which searches to list; None means any, and `labels`, pairs of key and value, that they have all of these."""

    state: SearchState | None = None
    dataset: str | None = None
    created_after: datetime | None = None
    labels: tuple[tuple[str, str], ...] = ()

    def digest(self) -> str:
        after = self.created_after.astimezone(UTC).isoformat() if self.created_after else None
        compared: list[object] = [self.state, self.dataset, after]
        text = json.dumps([*compared, sorted(self.labels)] if self.labels else compared)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class SearchPage:
    """Searches, newest first. `next_page_token` requests the next page; None on the last one."""

    searches: Sequence[Search]
    next_page_token: str | None


def list_searches(session: Session, wanted: SearchFilter, page_size: int, page_token: str | None) -> SearchPage:
    """The searches that match, newest first, at most `page_size` of them.

    Raises:
        PageTokenError: the token is malformed, or was issued for another filter.
    """
    before = _read_token(page_token, wanted) if page_token is not None else None
    found = session.scalars(listing(wanted, before).limit(page_size + 1)).all()
    page = found[:page_size]
    has_more = len(found) > page_size
    return SearchPage(page, _make_token(page[-1], wanted) if has_more else None)


def listing(wanted: SearchFilter, before: tuple[datetime, str] | None = None) -> Select[Search]:
    """The searches that match, newest first, after the one that was created at this time with this id."""
    query = select(Search)
    created_at, search_id = Search.created_at, Search.id
    if wanted.labels:  # of the first, the index has the order; the others are looked up for each search
        key, value = wanted.labels[0]
        created_at, search_id = SearchLabel.created_at, SearchLabel.search_id
        query = query.join(SearchLabel, SearchLabel.search_id == Search.id)
        query = query.where(SearchLabel.key == key, SearchLabel.value == value)
        query = query.where(*(_has_label(*label) for label in wanted.labels[1:]))
    if wanted.state is not None:
        query = query.where(Search.state == wanted.state)
    if wanted.dataset is not None:
        query = query.where(Search.dataset == wanted.dataset)
    if wanted.created_after is not None:
        query = query.where(created_at > wanted.created_after)
    if before is not None:
        last = tuple_(literal(before[0], created_at.type), literal(before[1], search_id.type))
        query = query.where(tuple_(created_at, search_id) < last)
    return query.order_by(created_at.desc(), search_id.desc())


def _has_label(key: str, value: str) -> ColumnElement[bool]:
    other = aliased(SearchLabel)
    return exists().where(other.search_id == Search.id, other.key == key, other.value == value)


def _make_token(last: Search, wanted: SearchFilter) -> str:
    return make_token(wanted.digest(), last.created_at.isoformat(), last.id)


def _read_token(token: str, wanted: SearchFilter) -> tuple[datetime, str]:
    created_at, search_id = read_token(token, wanted.digest(), parts=2)
    try:
        return datetime.fromisoformat(created_at).astimezone(UTC), plain_text(search_id)
    except (ValueError, OverflowError) as error:
        raise malformed() from error
