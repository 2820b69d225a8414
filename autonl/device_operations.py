"""What a client can do with devices, as in `search_operations.py`: methods of `Client` and `AsyncClient`."""

from __future__ import annotations

from pathlib import Path

from autonl import device_documents
from autonl.models.devices import Device
from autonl.models.reading import read
from autonl.steps import Call


def add_device(name: str, file: Path | str) -> Call[Device]:
    """Upload a device table, a file that `autonl device measure` wrote: searches may then limit latency on the device.

    Raises:
        Refused: everything that the table lacks is in `errors`; or another table has this name.
    """
    return read(Device, (yield from device_documents.add_device(name, Path(file).expanduser())))


def device(name: str) -> Call[Device]:
    """A device; `document["table"]` is its table."""
    return read(Device, (yield from device_documents.device(name)))


def devices() -> Call[tuple[Device, ...]]:
    """All devices, without their tables."""
    return tuple(read(Device, one) for one in (yield from device_documents.devices())["devices"])


def delete_device(name: str) -> Call[None]:
    """Delete a device. Searches that were started with it keep its table."""
    return device_documents.delete_device(name)
