"""Tenants: who shares a service with others, and sees nothing of theirs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from store.columns import Base
from store.db import Database, now
from store.errors import NotFound, TenantExists, TenantInUse
from store.models import Search
from store.states import FINAL
from store.tenant_rows import DEFAULT_TENANT, Tenant

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


class TenantStore:
    """For operators: it has all tenants, so no request may reach it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, tenant_id: str) -> None:
        """Raises TenantExists, or ValueError if no tenant can be called so."""
        if not _ID.fullmatch(tenant_id):
            raise ValueError(f"{tenant_id!r} is no name of a tenant: use up to 32 small letters, digits and '-'")
        try:
            with self._database.session_scope() as session:
                session.add(Tenant(id=tenant_id, created_at=now(session)))
        except IntegrityError as error:
            raise TenantExists(f"tenant {tenant_id!r} already exists; choose another name") from error

    def all(self) -> Sequence[Tenant]:
        """All tenants, by name."""
        with self._database.read_scope() as session:
            return session.scalars(select(Tenant).order_by(Tenant.id)).all()

    def ids(self) -> list[str]:
        """Their names."""
        return [tenant.id for tenant in self.all()]

    def require(self, tenant_id: str) -> None:
        """Raises NotFound, listing the existing ones."""
        if tenant_id not in (existing := self.ids()):
            raise NotFound(f"no tenant {tenant_id!r}; the existing ones are: {', '.join(existing)}")

    def delete(self, tenant_id: str) -> list[str]:
        """Delete a tenant with all of its rows. Afterwards, the caller has to delete the files.

        Returns:
            The ids of its searches.
        Raises:
            NotFound: no such tenant.
            TenantInUse: it is the default one, or some of its searches are not final.
        """
        self.require(tenant_id)
        if tenant_id == DEFAULT_TENANT:
            raise TenantInUse(f"tenant {tenant_id!r} cannot be deleted: what needs no key belongs to it")
        with self._database.session_scope() as session:
            session.get(Tenant, tenant_id, with_for_update=True)  # what is being created for it waits, and is refused
            own = Search.tenant_id == tenant_id
            active = session.scalar(select(func.count()).where(own, Search.state.not_in(FINAL)))
            if active:
                raise TenantInUse(f"{active} searches of tenant {tenant_id!r} have not ended; cancel them first")
            search_ids = list(session.scalars(select(Search.id).where(own)))
            for table in reversed(Base.metadata.sorted_tables):  # also what other modules store for tenants
                if (owner := table.columns.get("tenant_id")) is not None:
                    session.execute(delete(table).where(owner == tenant_id))
            session.execute(delete(Tenant).where(Tenant.id == tenant_id))
        return search_ids
