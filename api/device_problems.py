"""Problems of devices and their tables."""

from __future__ import annotations

from api.problems import declare

DEVICE_EXISTS = declare(
    "device-exists",
    409,
    "Device name already taken",
    "Another device table has this name. Upload yours under another name, or delete that device first: searches that "
    "were started with it keep its table.",
    "device 'pixel' already has another table (9b1c); choose another name, or delete that device first: searches that "
    "were started with it keep its table",
)
TOO_MANY_DEVICES = declare(
    "too-many-devices",
    409,
    "Too many devices",
    "Delete devices that are no longer needed; searches that were started with them keep their tables.",
    "there are 200 devices, and at most 200 are possible; delete one",
)
