"""Corrected datasets: the same files, without some images, or with other labels."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api import label_problems, problems
from api.access import DataStores
from api.dependencies import PlainText
from api.openapi_responses import header_schemas, problem_responses
from api.problems import ProblemError
from api.quota_problems import QUOTA_FORBIDS
from api.schemas.corrections import CorrectionBody
from api.schemas.datasets import DatasetView
from autonl_core.errors import DatasetError

router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.post(
    "/{name}/corrections",
    status_code=201,
    response_model=DatasetView,
    responses={
        200: {"model": DatasetView, "description": "Already there", "headers": header_schemas("Location")},
        201: {"description": "Created; it is ready", "headers": header_schemas("Location")},
        **problem_responses(
            problems.NOT_FOUND,
            problems.DATASET_EXISTS,
            label_problems.CORRECTION_INVALID,
            problems.INVALID_REQUEST,
            problems.MALFORMED_REQUEST,
            problems.PAYLOAD_TOO_LARGE,
            QUOTA_FORBIDS,
        ),
    },
)
def correct_dataset(name: PlainText, body: CorrectionBody, response: Response, stores: DataStores) -> DatasetView:
    """Make another dataset of the same files, in which images are left out or have another class.

    The dataset itself stays as it is, and so do the splits: results on both can be compared.
    """
    try:
        added = stores.corrections.add(name, body.name, body.correction())
    except DatasetError as error:
        raise ProblemError(label_problems.CORRECTION_INVALID, str(error)) from error
    response.headers["Location"] = f"/datasets/{added.entry.spec.name}"
    response.status_code = 201 if added.created else 200
    return DatasetView.from_entry(added.entry)
