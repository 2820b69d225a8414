"""Devices: upload what `autonl device measure` measured, list, get and delete; searches limit `latency_ms` by it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api import device_problems, problems
from api.access import DataStores, ReadStores
from api.dependencies import PlainText
from api.error_handlers import field_problems
from api.openapi_responses import header_schemas, problem_responses
from api.quota_problems import QUOTA_FORBIDS
from api.schemas.devices import DeviceList, DeviceView
from autonl_core.spec.device_search import faults_of
from autonl_core.spec.device_table import DeviceTable
from autonl_core.spec.name_field import Name

router = APIRouter(prefix="/devices", tags=["devices"])


@router.get("")
def list_devices(stores: ReadStores) -> DeviceList:
    """All devices by name, without their tables."""
    return DeviceList(devices=[DeviceView.from_entry(entry, complete=False) for entry in stores.devices.list()])


@router.get("/{name}", responses=problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST))
def get_device(name: PlainText, stores: ReadStores) -> DeviceView:
    """A device with its table, as it was uploaded."""
    return DeviceView.from_entry(stores.devices.get(name))


@router.post(
    "",
    status_code=201,
    responses={
        200: {"model": DeviceView, "description": "Already uploaded", "headers": header_schemas("Location")},
        201: {"headers": header_schemas("Location")},
        **problem_responses(
            problems.MALFORMED_REQUEST,
            problems.PAYLOAD_TOO_LARGE,
            problems.INVALID_REQUEST,
            device_problems.DEVICE_EXISTS,
            device_problems.TOO_MANY_DEVICES,
            QUOTA_FORBIDS,
        ),
    },
)
def add_device(
    name: Annotated[Name, Query(description="of the new device")],
    body: DeviceTable,
    response: Response,
    stores: DataStores,
) -> DeviceView:
    """Upload a device table, which `autonl device measure` writes. Searches name the device in `constraints`."""
    _require_complete(body)
    added = stores.devices.add(name, body)
    response.headers["Location"] = f"/devices/{name}"
    if not added.created:
        response.status_code = 200
    return DeviceView.from_entry(added.entry)


@router.delete("/{name}", status_code=204, responses=problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST))
def delete_device(name: PlainText, stores: DataStores) -> None:
    """Delete a device. Searches that were started with it keep its table, and go on by it."""
    stores.devices.delete(name)


def _require_complete(table: DeviceTable) -> None:
    """Raises ProblemError that lists everything that the table lacks, or has too much, for its space."""
    faults = [{"loc": fault.place, "type": "table_unfit", "msg": fault.detail} for fault in faults_of(table)]
    if faults:
        raise problems.invalid_fields(field_problems(faults, source="body"))
