"""Data sets: which there are, and registering one that lies on the service's disk."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response

from api import problems
from api.context import PlainText, StoresDep
from api.problems import FieldProblem, ProblemError, describe, headers
from api.schemas.catalog import DatasetBody, DatasetList, DatasetView
from autonl_core.datasets import scan
from autonl_core.errors import DatasetError
from store.settings import Settings

router = APIRouter(prefix="/datasets", tags=["data sets"])


@router.get("")
def list_datasets(stores: StoresDep) -> DatasetList:
    """The built-in data sets, then the registered ones by name."""
    return DatasetList(datasets=[DatasetView.of(entry) for entry in stores.datasets.list()])


@router.get("/{name}", responses=describe(problems.NOT_FOUND, problems.INVALID_REQUEST))
def get_dataset(name: PlainText, stores: StoresDep) -> DatasetView:
    """One data set."""
    return DatasetView.of(stores.datasets.get(name))


@router.post(
    "",
    status_code=201,
    responses={
        201: {"headers": headers("Location")},
        **describe(
            problems.MALFORMED_REQUEST,
            problems.PAYLOAD_TOO_LARGE,
            problems.INVALID_REQUEST,
            problems.DATASET_INVALID,
            problems.DATASET_EXISTS,
        ),
    },
)
def add_dataset(body: DatasetBody, response: Response, stores: StoresDep) -> DatasetView:
    """Register a folder or zip of class folders. It is read where it lies; registering it again changes nothing."""
    path = _allowed_path(body.path, stores.settings)
    try:
        entry = stores.datasets.add(scan(body.name, path, within=_roots(stores.settings)))
    except DatasetError as error:
        raise ProblemError(problems.DATASET_INVALID, str(error)) from error
    except OSError as error:
        reason = f"{error.filename or path} cannot be read: {error.strerror or error}"
        raise ProblemError(problems.DATASET_INVALID, reason) from error
    response.headers["Location"] = f"/datasets/{body.name}"
    return DatasetView.of(entry)


def _allowed_path(text: str, settings: Settings) -> Path:
    """The real path that `text` means. Raises ProblemError unless it lies below a folder the operator opened."""
    roots = _roots(settings)
    if not roots:
        raise _refused(
            "this service registers no data sets by path; its operator can allow a folder: AUTONL_DATASET_ROOTS"
        )
    path = Path(text) if "\0" not in text else None
    if path is None or not path.is_absolute():
        raise _refused("must be an absolute path on the disk of the service")
    try:
        real = path.resolve()
    except (OSError, RuntimeError, UnicodeError) as error:  # too long, or links in a circle
        raise _refused(f"is no usable path: {type(error).__name__}") from error
    if not any(real.is_relative_to(root) for root in roots):
        allowed = ", ".join(str(root) for root in roots)
        raise _refused(f"lies outside the folders that this service may read: {allowed}")
    return real


def _roots(settings: Settings) -> list[Path]:
    return [root.resolve() for root in settings.dataset_roots]


def _refused(reason: str) -> ProblemError:
    return problems.invalid([FieldProblem(pointer="/path", code="path_not_allowed", detail=reason)])
