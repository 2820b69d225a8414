"""The table of promotions: what an alias of a model stands for, and all that it stood for before."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from store.columns import Base
from store.tenant_rows import TENANT_ID, OfTenant, Tenant

_IS_CURRENT = text("is_current")


class Promotion(OfTenant, Base):
    """An alias of a model came to stand for the result of a search; `number` counts 1, 2, 3, ... per alias.

    The newest one of an alias is the current one. It outlives its search, unless it is current: then the search and
    its files stay.
    """

    __tablename__ = "promotions"

    tenant_id: Mapped[str] = mapped_column(
        TENANT_ID, ForeignKey(Tenant.id), primary_key=True, sort_order=-1, server_default="default"
    )
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    alias: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    is_current: Mapped[bool] = mapped_column(Boolean)
    search_id: Mapped[str] = mapped_column(String(16))
    arch_id: Mapped[str] = mapped_column(String(16))
    before: Mapped[int | None] = mapped_column(Integer)  # number of what a rollback from here goes back to
    restores: Mapped[int | None] = mapped_column(Integer)  # number of what this one, a rollback, went back to
    note: Mapped[str] = mapped_column(Text)
    key_id: Mapped[str | None] = mapped_column(String(16))  # of the API key that asked for it; None: none was needed
    promoted_at: Mapped[datetime]

    __table_args__ = (
        Index(
            "uq_promotions_current",
            "tenant_id",
            "model",
            "alias",
            unique=True,
            postgresql_where=_IS_CURRENT,
            sqlite_where=_IS_CURRENT,
        ),
        Index(None, "search_id"),
    )
