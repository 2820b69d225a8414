"""Models as users see them: promote a result to an alias, roll back, look up, list, remove.

An alias such as `prod` of the model `products` stands for the result of one search. What it stands for changes by a new
row, never by changing an old one, so the history is complete; a rollback is such a row too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, delete, exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from autonl_core.spec.event_kinds import EventKind
from store import events
from store.db import Database, now
from store.errors import CannotRollBack, NotFound, StateConflict, TooManyAliases
from store.model_registry.rows import Promotion
from store.models import Architecture, Artifact, Search
from store.states import SearchState

MAX_ALIASES = 1_000  # of all models of a tenant
MAX_SHOWN = 200  # promotions of one model


@dataclass(frozen=True)
class PromotionEntry:
    """A promotion with what is known of its result; of a search that was deleted since, neither of the rows exists."""

    promotion: Promotion
    search: Search | None
    architecture: Architecture | None


@dataclass(frozen=True)
class Promoted:
    """A promotion, and whether it is new: the same promotion, repeated, changes nothing."""

    entry: PromotionEntry
    created: bool


class ModelRegistry:
    """Models and their aliases. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def promote(self, model: str, alias: str, search_id: str, *, note: str = "", key_id: str | None = None) -> Promoted:
        """Let an alias stand for the result of a search from now on.

        Raises:
            NotFound: no such search.
            StateConflict: it has not succeeded, or its files are no longer kept.
            TooManyAliases: there are as many aliases as are possible.
        """
        try:
            return self._promote(model, alias, search_id, note, key_id)
        except IntegrityError:  # another process gave this alias its first promotion in the meantime
            return self._promote(model, alias, search_id, note, key_id)

    def roll_back(
        self, model: str, alias: str, number: int, *, note: str = "", key_id: str | None = None
    ) -> PromotionEntry:
        """Let an alias stand for what it stood for before the promotion `number`, which has to be its current one.

        Raises:
            NotFound: no such alias.
            CannotRollBack: another promotion is current, there was none before, or its search is gone or its files are.
        """
        with self._database.session_scope() as session:
            if (current := _current(session, model, alias)) is None:
                raise _no_alias(model, alias)
            target = _before(session, current, number)
            search = _still_usable(session, target)
            made = _next(session, current, search, note, key_id)
            made.before, made.restores = target.before, target.number
            return _stored(session, made, search)

    def get(self, model: str, alias: str) -> PromotionEntry:
        """What an alias stands for. Raises NotFound."""
        with self._database.read_scope() as session:
            query = _entries().where(*_is_alias(model, alias), Promotion.is_current)
            if (found := session.execute(query).one_or_none()) is None:
                raise _no_alias(model, alias)
            return PromotionEntry(*found)

    def list(self) -> Sequence[PromotionEntry]:
        """What every alias of every model stands for, by their names."""
        with self._database.read_scope() as session:
            query = _entries().where(Promotion.is_current).order_by(Promotion.model, Promotion.alias)
            return [PromotionEntry(*found) for found in session.execute(query)]

    def aliases(self, model: str) -> Sequence[PromotionEntry]:
        """What every alias of one model stands for, by their names; none if there is no such model."""
        with self._database.read_scope() as session:
            query = _entries().where(Promotion.model == model, Promotion.is_current).order_by(Promotion.alias)
            return [PromotionEntry(*found) for found in session.execute(query)]

    def history(self, model: str) -> Sequence[PromotionEntry]:
        """The promotions of a model, the newest first, at most MAX_SHOWN. Raises NotFound if there is no such model."""
        with self._database.read_scope() as session:
            newest_first = Promotion.promoted_at.desc(), Promotion.alias, Promotion.number.desc()
            query = _entries().where(Promotion.model == model).order_by(*newest_first).limit(MAX_SHOWN)
            if not (found := [PromotionEntry(*row) for row in session.execute(query)]):
                raise NotFound(f"no model {model!r}")
            return found

    def remove(self, model: str, alias: str) -> None:
        """Remove an alias with its history; the searches stay. Raises NotFound."""
        with self._database.session_scope() as session:
            gone = session.execute(delete(Promotion).where(*_is_alias(model, alias)).returning(Promotion.number)).all()
            if not gone:
                raise _no_alias(model, alias)

    def _promote(self, model: str, alias: str, search_id: str, note: str, key_id: str | None) -> Promoted:
        with self._database.session_scope() as session:
            current = _current(session, model, alias)
            search = _usable(session, search_id)
            if current is not None and (current.search_id, current.note) == (search_id, note):
                return Promoted(_entry(session, current, search), created=False)
            if current is None:
                _require_room(session)
                current = Promotion(tenant_id=search.tenant_id, model=model, alias=alias, number=0)
            made = _next(session, current, search, note, key_id)
            made.before = current.number or None
            return Promoted(_stored(session, made, search), created=True)


def in_use(search_id: str) -> Select[str, str]:
    """The models and aliases that stand for the result of a search."""
    return select(Promotion.model, Promotion.alias).where(Promotion.search_id == search_id, Promotion.is_current)


def is_in_use() -> ColumnElement[bool]:
    """Whether an alias of a model stands for the row of `Search`."""
    return exists().where(Promotion.search_id == Search.id, Promotion.is_current)


def _usable(session: Session, search_id: str) -> Search:
    """The search, locked: until the promotion is stored, it and its files stay. Raises NotFound and StateConflict."""
    search = session.get(Search, search_id, with_for_update=True)
    if search is None:
        raise NotFound(f"no search {search_id!r}")
    if search.state != SearchState.SUCCEEDED or search.result is None:
        raise StateConflict(
            f"search {search_id} is {search.state}; only a search that has succeeded can be promoted",
            state=search.state,
        )
    if not session.scalar(
        select(exists().where(Artifact.search_id == search_id, Artifact.arch_id == _arch_id(search)))
    ):
        raise StateConflict(
            f"the files of search {search_id} are no longer kept; promote another search", state=search.state
        )
    return search


def _arch_id(search: Search) -> str:
    assert search.result is not None
    arch_id: str = search.result["architecture"]["arch_id"]
    return arch_id


def _next(session: Session, current: Promotion, search: Search, note: str, key_id: str | None) -> Promotion:
    """The promotion after `current`, which is no longer the current one."""
    made = Promotion(
        tenant_id=search.tenant_id,
        model=current.model,
        alias=current.alias,
        number=current.number + 1,
        is_current=True,
        search_id=search.id,
        arch_id=_arch_id(search),
        note=note,
        key_id=key_id,
        promoted_at=now(session),
    )
    if current.number:
        current.is_current = False
        session.flush()  # before the new one: an alias has one current promotion
    return made


def _stored(session: Session, made: Promotion, search: Search) -> PromotionEntry:
    session.add(made)
    detail = {"model": made.model, "alias": made.alias, "number": made.number, "restores": made.restores}
    events.append(session, search, EventKind.PROMOTED, made.promoted_at, detail)
    session.flush()
    return _entry(session, made, search)


def _entry(session: Session, promotion: Promotion, search: Search) -> PromotionEntry:
    return PromotionEntry(promotion, search, session.get(Architecture, (search.id, promotion.arch_id)))


def _entries() -> Select[Promotion, Search | None, Architecture | None]:
    of_result = (Architecture.search_id == Promotion.search_id) & (Architecture.arch_id == Promotion.arch_id)
    return (
        select(Promotion, Search, Architecture)
        .outerjoin(Search, Search.id == Promotion.search_id)
        .outerjoin(Architecture, of_result)
    )


def _is_alias(model: str, alias: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return Promotion.model == model, Promotion.alias == alias


def _current(session: Session, model: str, alias: str) -> Promotion | None:
    """What an alias stands for, if it exists. Its promotions are made one after the other: the first one is a lock."""
    first = select(Promotion.number).where(*_is_alias(model, alias), Promotion.number == 1).with_for_update()
    if session.scalars(first).one_or_none() is None:
        return None
    return session.scalars(select(Promotion).where(*_is_alias(model, alias), Promotion.is_current)).one()


def _before(session: Session, current: Promotion, number: int) -> Promotion:
    """What a rollback from the promotion `number`, which should be `current`, goes back to. Raises CannotRollBack."""
    name = f"{current.model}@{current.alias}"
    if current.number != number:
        raise CannotRollBack(
            f"promotion {current.number} of {name} is the current one, not {number}; look at what it stands for now, "
            "and name that number to undo it"
        )
    if current.before is None:
        raise CannotRollBack(f"{name} stood for nothing before promotion {number}; promote another search instead")
    is_before = Promotion.number == current.before
    return session.scalars(select(Promotion).where(*_is_alias(current.model, current.alias), is_before)).one()


def _still_usable(session: Session, target: Promotion) -> Search:
    """The search that a rollback goes back to. Raises CannotRollBack."""
    try:
        return _usable(session, target.search_id)
    except (NotFound, StateConflict) as error:
        name = f"{target.model}@{target.alias}"
        raise CannotRollBack(f"{name} cannot go back to promotion {target.number}: {error}") from error


def _no_alias(model: str, alias: str) -> NotFound:
    return NotFound(f"no alias {alias!r} of a model {model!r}")


def _require_room(session: Session) -> None:
    count = session.scalars(select(func.count()).select_from(Promotion).where(Promotion.is_current)).one()
    if count >= MAX_ALIASES:
        raise TooManyAliases(
            f"there are {count:,} aliases of models, and at most {MAX_ALIASES:,} are possible; remove one"
        )
