"""The tables of tenants and of what they sign in with, and the column that says whose a row is."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Date, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from store.columns import Base, Json

DEFAULT_TENANT = "default"  # whose everything is that an earlier version stored, and who needs no key if none is needed
TENANT_ID = String(32)


class Tenant(Base):
    """Who shares one service with others and sees nothing of theirs; `default` always exists."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(TENANT_ID, primary_key=True)
    created_at: Mapped[datetime]
    limits: Mapped[dict[str, Any] | None]  # those that are its own (`store/quotas.py`)
    turn: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")  # of its last claim, in all claims


class OfTenant:
    """A row that belongs to a tenant. A database that is bound to a tenant has no others (`store/db.py`)."""

    tenant_id: Mapped[str] = mapped_column(
        TENANT_ID, ForeignKey(Tenant.id), default=DEFAULT_TENANT, server_default=DEFAULT_TENANT
    )


class ApiKey(OfTenant, Base):
    """A key of the API. Its secret is not stored, only the SHA-256 of it, which is 256 random bits."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(Json)
    secret_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]  # to the minute


class PageSession(OfTenant, Base):
    """A browser that signed in with a key, and may do what the key may for as long as both are valid."""

    __tablename__ = "page_sessions"

    secret_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Usage(OfTenant, Base):
    """What a tenant used on one day in UTC."""

    __tablename__ = "usage"

    tenant_id: Mapped[str] = mapped_column(TENANT_ID, ForeignKey(Tenant.id), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    compute_s: Mapped[float]  # CPU time of search processes
    searches: Mapped[int] = mapped_column(Integer)  # that were queued
    added_bytes: Mapped[int] = mapped_column(BigInteger)  # of datasets, weights and artifacts
