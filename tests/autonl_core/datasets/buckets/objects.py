"""Objects in the bucket of the tests."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

import obstore

from autonl_core.datasets.buckets.location import BucketLocation
from tests.buckets import BUCKET, BucketServer


def put(server: BucketServer, location: BucketLocation, files: Mapping[str, bytes]) -> None:
    """Put files below a location; an empty name is the object that it names."""
    client = server.client()
    for name, data in files.items():
        obstore.put(client, "/".join(part for part in (location.key, name) if part), data)


def delete(server: BucketServer, location: BucketLocation, name: str) -> None:
    obstore.delete(server.client(), f"{location.key}/{name}")


def put_folder(server: BucketServer, folder: Path) -> BucketLocation:
    """Put a file, or all files of a folder, at a new location that ends as its path does."""
    location = BucketLocation(BUCKET, f"{secrets.token_hex(4)}/{folder.name}")
    if folder.is_file():
        put(server, location, {"": folder.read_bytes()})
    else:
        files = [path for path in folder.rglob("*") if path.is_file()]
        put(server, location, {path.relative_to(folder).as_posix(): path.read_bytes() for path in files})
    return location
