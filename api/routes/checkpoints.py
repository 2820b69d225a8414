"""Downloads: the trained network in any format, whole or in ranges, with its digest."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from api.access import ReadStores
from api.checkpoint_files import CHECKPOINT_RESPONSES, Asked, checkpoint_response
from api.dependencies import ArchId, SearchIdQuery

router = APIRouter(tags=["architectures"])


@router.get("/architectures/{arch_id}/checkpoint", response_class=StreamingResponse, responses=CHECKPOINT_RESPONSES)
@router.head("/architectures/{arch_id}/checkpoint", include_in_schema=False)
def download_checkpoint(
    arch_id: ArchId, request: Request, stores: ReadStores, asked: Asked, search_id: SearchIdQuery = None
) -> Response:
    """The trained network as one file in the requested format.

    A format that the search did not export, or whose accuracy differs too much from PyTorch's, is refused with the
    reason. Where files are in a bucket, GET answers with a redirect to it, and HEAD with the headers of the file.
    """
    return checkpoint_response(request, stores, arch_id, search_id, asked)
