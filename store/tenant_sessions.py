"""Sessions that are bound to one tenant: every statement finds only its rows, and every new row is its own.

The one place that decides whose rows a request reads and writes, so that no store has to. On PostgreSQL, row-level
security decides it a second time, by a setting of the transaction (`migrations/versions/20261127_01_tenants.py`).
"""

from __future__ import annotations

import functools
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Delete, Executable, Select, Update, event, exists
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, with_loader_criteria
from sqlalchemy.orm.util import LoaderCriteriaOption

from store.errors import OtherTenant
from store.models import OfSearch, Search
from store.tenant_rows import DEFAULT_TENANT, OfTenant

ALL_TENANTS = "*"
_MAX_TENANTS = 1024  # whose statements are kept
_TENANT = "autonl_tenant"  # the option of an engine, and the information of a session


class TenantSession(Session):
    """A session on the rows of one tenant, or of all if its information names none."""


def bound(tenant_id: str | None) -> dict[str, str | None]:
    """What binds an engine by its options, and a session by its information; None: to no tenant."""
    return {_TENANT: tenant_id}


def tenant_of(session: Session) -> str:
    """Whose new rows are that the session stores: the tenant that it is bound to, or the default one."""
    return session.info.get(_TENANT) or DEFAULT_TENANT


def set_tenant(connection: Connection) -> None:
    """Begin a transaction on PostgreSQL: say which rows it may see. It ends with the transaction."""
    tenant_id = connection.get_execution_options().get(_TENANT) or ALL_TENANTS
    connection.exec_driver_sql("SELECT set_config('autonl.tenant', %s, true)", (tenant_id,))


@event.listens_for(TenantSession, "do_orm_execute")
def _find_own_rows(state: ORMExecuteState) -> None:
    tenant_id = state.session.info.get(_TENANT)
    if tenant_id is not None and isinstance(state.statement, Select | Update | Delete):
        state.statement = _of_tenant(state.statement, tenant_id)


@event.listens_for(TenantSession, "before_flush")
def _own_new_rows(session: Session, _context: UOWTransaction, _instances: object) -> None:
    tenant_id: str | None = session.info.get(_TENANT)
    if tenant_id is None:
        return
    for row in session.new:
        if not isinstance(row, OfTenant):
            continue
        if row.tenant_id not in (None, tenant_id):
            raise OtherTenant(f"a row of tenant {row.tenant_id!r} was to be stored for tenant {tenant_id!r}")
        row.tenant_id = tenant_id


_OF_TENANTS: WeakKeyDictionary[Executable, dict[str, Executable]] = WeakKeyDictionary()


def _of_tenant(statement: Select[Any] | Update | Delete, tenant_id: str) -> Executable:
    """`statement` for one tenant. Kept for as long as `statement` is, because some are made once and sent for ever."""
    made = _OF_TENANTS.setdefault(statement, {})
    if tenant_id not in made:
        if len(made) >= _MAX_TENANTS:
            made.clear()
        made[tenant_id] = statement.options(*_own_rows(tenant_id))
    return made[tenant_id]


@functools.lru_cache(maxsize=_MAX_TENANTS)
def _own_rows(tenant_id: str) -> tuple[LoaderCriteriaOption, ...]:
    """The criteria that every statement of a tenant gets, in its subqueries too.

    Whose a row of a search is, is looked up for that row: a list of all searches of the tenant would be made each time.
    """
    owner = Search.__table__.alias("owner")
    of_tenant = with_loader_criteria(OfTenant, lambda table: table.tenant_id == tenant_id, include_aliases=True)
    of_search = with_loader_criteria(
        OfSearch,
        lambda table: exists().where(owner.c.id == table.search_id, owner.c.tenant_id == tenant_id),
        include_aliases=True,
        track_closure_variables=False,
    )
    return of_tenant, of_search
