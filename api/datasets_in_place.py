"""Datasets that are registered where they are: on the disk of the service, or in a bucket."""

from __future__ import annotations

from pathlib import Path

from api import problems
from api.problems import ProblemError
from api.schemas.datasets import DatasetBody
from api.schemas.problems import FieldProblem
from autonl_core.datasets.buckets.location import BucketLocation, is_in_bucket
from autonl_core.datasets.buckets.objects import BucketObjects, nothing_at
from autonl_core.datasets.scan import has_changed
from autonl_core.datasets.sources import UPLOAD_SOURCE, detect_source, expected_sources
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import DatasetError
from store.datasets import Added, Place, ReadAs
from store.errors import NotFound
from store.keys import Caller
from store.settings import Settings
from store.states import DatasetState
from store.stores import Stores
from store.tenant_rows import DEFAULT_TENANT

_KIND_OF_SEVERAL = "folder"  # of several objects, until their check finds another one


def add_in_place(body: DatasetBody, stores: Stores, caller: Caller) -> Added:
    """Register the dataset that `body` names. Raises ProblemError."""
    in_bucket = is_in_bucket(body.path)
    if caller.tenant_id != DEFAULT_TENANT:  # the folders are of the host, so they belong to its operator
        whose = "buckets" if in_bucket else "folders"
        raise _path_problem(f"is for the tenant {DEFAULT_TENANT!r}, whose {whose} these are; upload the images instead")
    place, kind = _in_bucket(body.path, stores.settings) if in_bucket else _on_disk(body.path, stores.settings)
    outdated = _outdated(body.name, place, stores)
    reading = ReadAs(body.layout, body.duplicates)
    return stores.datasets.add_path(body.name, kind, place, outdated=outdated, reading=reading)


def _on_disk(text: str, settings: Settings) -> tuple[Place, str]:
    """The path, and the kind of the dataset there."""
    path = _allowed_path(text, settings)
    try:
        source = detect_source(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    if source is None:
        raise ProblemError(problems.DATASET_INVALID, f"no dataset at {path}: expected {expected_sources()}")
    return path, source.name


def _in_bucket(text: str, settings: Settings) -> tuple[Place, str]:
    """The place, and what kind of dataset is there as far as is known before its check."""
    try:
        location = BucketLocation.parse(text)
    except DatasetError as error:
        raise _path_problem(str(error)) from error
    if not settings.allows_bucket(location):
        allowed = ", ".join(settings.dataset_buckets) or "none; have its operator name some: AUTONL_DATASET_BUCKETS"
        raise _path_problem(f"is outside the places in buckets that this service may read: {allowed}")
    try:
        first = BucketObjects(location, settings.bucket_timeout_s).first()
    except DatasetError as error:
        raise ProblemError(problems.DATASET_INVALID, str(error)) from error
    if first is None:
        raise ProblemError(problems.DATASET_INVALID, nothing_at(location))
    return location, _KIND_OF_SEVERAL if first.name else UPLOAD_SOURCE


def _outdated(name: str, place: Place, stores: Stores) -> str | None:
    """The fingerprint of the registered dataset of this name, if its files have changed since its check."""
    try:
        entry = stores.datasets.get(name)
    except NotFound:
        return None
    if entry.state != DatasetState.READY or entry.spec.location != str(place):
        return None
    try:
        changed = _has_changed(entry.spec, place, stores.settings)
    except OSError as error:
        raise _unreadable(place, error) from error
    return entry.spec.fingerprint if changed else None


def _has_changed(spec: DatasetSpec, place: Place, settings: Settings) -> bool:
    if isinstance(place, Path):
        return has_changed(spec, settings.limits)
    try:
        return BucketObjects(place, settings.bucket_timeout_s).list(settings.limits).mark != spec.objects
    except DatasetError:  # its check says why
        return True


def _unreadable(place: Place, error: OSError) -> ProblemError:
    return ProblemError(problems.DATASET_INVALID, f"{place} cannot be read: {error.strerror or error}")


def _allowed_path(text: str, settings: Settings) -> Path:
    """The path `text` with links resolved. Raises ProblemError unless it is inside a folder the operator allows."""
    roots = [root.resolve() for root in settings.dataset_roots]
    if not roots:
        raise _path_problem(
            "this service does not register datasets by path; upload the images instead, or have its operator allow a "
            "folder: `autonl up --dataset-root FOLDER`, or AUTONL_DATASET_ROOTS"
        )
    path = Path(text) if "\0" not in text else None
    if path is None or not path.is_absolute():
        raise _path_problem("must be an absolute path on the disk of the service")
    try:
        real = path.resolve()
    except (OSError, RuntimeError, UnicodeError) as error:  # too long, or a loop of links
        raise _path_problem(f"is not a usable path: {type(error).__name__}") from error
    if not any(real.is_relative_to(root) for root in roots):
        allowed = ", ".join(str(root) for root in roots)
        raise _path_problem(f"is outside the folders that this service may read: {allowed}")
    if real.is_relative_to(settings.data_dir) or settings.data_dir.is_relative_to(real):
        raise _path_problem("holds the data of the service itself; choose a folder of images")
    return real


def _path_problem(reason: str) -> ProblemError:
    return problems.invalid_fields([FieldProblem(pointer="/path", code="path_not_allowed", detail=reason)])
