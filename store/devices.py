"""Devices: device tables that were uploaded, by the names under which searches ask for them.

A search keeps a copy of its table (`store/search_device_tables.py`), so that a device can be deleted at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from autonl_core.spec.device_table import DeviceTable
from store.db import Database, now
from store.device_rows import DeviceRow
from store.errors import DeviceExists, NotFound, TooManyDevices
from store.quotas import admit_bytes
from store.search_device_tables import read_stored
from store.settings import Settings

MAX_DEVICES = 200  # of a tenant
_SHOWN_NAMES = 20  # in the error about an unknown device


@dataclass(frozen=True)
class DeviceEntry:
    """A device with its table."""

    name: str
    table: DeviceTable
    sha256: str
    size_bytes: int
    created_at: datetime


@dataclass(frozen=True)
class AddedDevice:
    """The result of an upload; `created` is False if the same was uploaded before."""

    entry: DeviceEntry
    created: bool


class DeviceStore:
    """Devices, one row each. Every method is one transaction."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def add(self, name: str, table: DeviceTable) -> AddedDevice:
        """Store a device table under `name`.

        Raises:
            DeviceExists: the name has another table.
            TooManyDevices: there are as many devices as are possible.
            QuotaExceeded: its tenant may not store as many bytes.
        """
        try:
            return self._add(name, table)
        except IntegrityError:  # another process added a device of this name in the meantime
            return self._add(name, table)

    def get(self, name: str) -> DeviceEntry:
        """The device of this name. Raises OtherVersion, and NotFound, listing the existing ones."""
        with self._database.read_scope() as session:
            row = session.scalars(select(DeviceRow).where(DeviceRow.name == name)).one_or_none()
            if row is None:
                raise _unknown(session, name)
            return _entry_of(row)

    def list(self) -> list[DeviceEntry]:
        """All devices, by name. Raises OtherVersion."""
        with self._database.read_scope() as session:
            return [_entry_of(row) for row in session.scalars(select(DeviceRow).order_by(DeviceRow.name))]

    def delete(self, name: str) -> None:
        """Delete a device; searches that limit its latency keep its table. Raises NotFound."""
        with self._database.session_scope() as session:
            gone = session.scalars(delete(DeviceRow).where(DeviceRow.name == name).returning(DeviceRow.name)).all()
            if not gone:
                raise _unknown(session, name)

    def _add(self, name: str, table: DeviceTable) -> AddedDevice:
        with self._database.session_scope() as session:
            row = session.scalars(select(DeviceRow).where(DeviceRow.name == name)).one_or_none()
            if row is not None:
                if row.sha256 != table.sha256:
                    raise DeviceExists(
                        f"device {name!r} already has another table ({row.sha256}); choose another name, or delete "
                        "that device first: searches that were started with it keep its table"
                    )
                return AddedDevice(_entry_of(row), created=False)
            _require_room(session)
            content = table.to_text()
            size_bytes = len(content.encode())
            admit_bytes(session, self._settings, size_bytes, None)
            row = DeviceRow(
                name=name, sha256=table.sha256, size_bytes=size_bytes, content=content, created_at=now(session)
            )
            session.add(row)
            session.flush()
            return AddedDevice(_entry_of(row), created=True)


def _entry_of(row: DeviceRow) -> DeviceEntry:
    return DeviceEntry(row.name, read_stored(row.content), row.sha256, row.size_bytes, row.created_at)


def _unknown(session: Session, name: str) -> NotFound:
    known = session.scalars(select(DeviceRow.name).order_by(DeviceRow.name).limit(_SHOWN_NAMES)).all()
    listed = f"the existing ones are: {', '.join(known)}" if known else "there is none yet"
    return NotFound(f"no device {name!r}; {listed}; `autonl device measure --add NAME` makes one")


def _require_room(session: Session) -> None:
    count = session.scalars(select(func.count()).select_from(DeviceRow)).one()
    if count >= MAX_DEVICES:
        raise TooManyDevices(f"there are {count} devices, and at most {MAX_DEVICES} are possible; delete one")
