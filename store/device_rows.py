"""The tables of devices: the tables that tenants uploaded, and those that searches go by."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from store.columns import Base
from store.models import OfSearch
from store.tenant_rows import TENANT_ID, OfTenant, Tenant


class DeviceRow(OfTenant, Base):
    """A device table under the name of its device. Text, not JSON: what databases make of numbers has another hash."""

    __tablename__ = "devices"

    tenant_id: Mapped[str] = mapped_column(
        TENANT_ID, ForeignKey(Tenant.id), primary_key=True, sort_order=-1, server_default="default"
    )
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))  # of the content, as `DeviceTable` counts it
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class SearchDeviceTable(OfSearch, Base):
    """The device table that a search goes by, as it was when the search was accepted."""

    __tablename__ = "search_device_tables"

    content: Mapped[str] = mapped_column(Text)
