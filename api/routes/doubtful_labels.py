"""The labels that the network of a search doubts, as the search wrote them down."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from api import label_problems, problems
from api.access import ReadStores
from api.dependencies import IfNoneMatch, SearchId
from api.file_responses import cache_headers, file_response, not_modified
from api.openapi_responses import header_schemas, problem_responses
from api.schemas.doubtful_labels import DoubtfulLabelsView
from api.search_files import find_file
from autonl_core.spec.doubtful_labels import KIND

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": DoubtfulLabelsView, "headers": header_schemas("ETag", "Repr-Digest")},
    304: {"description": "Not modified", "headers": header_schemas("ETag")},
    **problem_responses(problems.NOT_FOUND, label_problems.DOUBTFUL_LABELS_NOT_READY, problems.INVALID_REQUEST),
}

router = APIRouter(prefix="/searches", tags=["searches"])


@router.get("/{search_id}/doubtful-labels", response_class=Response, responses=_RESPONSES)
@router.head("/{search_id}/doubtful-labels", include_in_schema=False)
def get_doubtful_labels(
    search_id: SearchId, request: Request, stores: ReadStores, if_none_match: IfNoneMatch = None
) -> Response:
    """Training and test images that are perhaps labelled wrong: to the network, another class is more probable.

    Not every one of them is wrong; images of classes that are hard to distinguish are too. Look through them.
    """
    search = stores.searches.get(search_id)
    artifact = find_file(stores, search, KIND, "list of doubtful labels", label_problems.DOUBTFUL_LABELS_NOT_READY)
    headers = cache_headers(artifact)
    if (unchanged := not_modified(artifact, if_none_match, headers)) is not None:
        return unchanged
    return file_response(request, stores.artifacts, artifact, headers | {"Content-Type": "application/json"})
