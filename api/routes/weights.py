"""Weight sets: list, get, upload and delete them, with what their checks found.

The response to an upload comes at once; the check runs in a process of its own (`worker/checker.py`), because the file
is not trusted, and because the API never loads what reads weights.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator, StringConstraints, WithJsonSchema

from api import problems
from api.access import DataStores, ReadStores
from api.dependencies import PlainText
from api.openapi_responses import header_schemas, problem_responses
from api.problems import ProblemError
from api.quota_problems import QUOTA_FORBIDS
from api.schemas.problems import FieldProblem
from api.schemas.weights import WeightSetList, WeightSetView
from api.upload_detection import WEIGHTS_TYPE, is_upload
from api.uploads import UploadKind, receive
from autonl_core.errors import WeightSetError
from autonl_core.spec.config import AUTO_INIT, NO_INIT, PublishedName
from autonl_core.spec.name_field import Name
from autonl_core.spec.names import NAME_PATTERN
from autonl_core.spec.weight_set import IMAGENET, Normalisation, WeightSetDetails
from store.json_values import plain_text
from store.states import WeightSetState
from store.stores import Stores
from store.weight_sets import AddedWeightSet

POLL_S = 1  # how often to poll weights that are being checked
_DEFAULTS = {name: ",".join(map(str, values)) for name, values in vars(IMAGENET).items()}
_NUMBER = r"[0-9]{1,3}(\.[0-9]{1,9})?"

Channels = Annotated[str, StringConstraints(pattern=rf"^{_NUMBER},{_NUMBER},{_NUMBER}$")]
Statement = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(plain_text)]


def _not_reserved(name: str) -> str:
    if name in _RESERVED:
        raise ValueError(f"{name!r} has a meaning of its own as the init of a search; choose another name")
    return name


_RESERVED = (AUTO_INIT, NO_INIT)
_NAME_SCHEMA = {"type": "string", "pattern": NAME_PATTERN, "not": {"enum": [*_RESERVED]}}
NewName = Annotated[Name, AfterValidator(_not_reserved), WithJsonSchema(_NAME_SCHEMA)]

router = APIRouter(prefix="/weights", tags=["weights"])


@router.get("")
def list_weights(stores: ReadStores) -> WeightSetList:
    """The built-in weight sets, then the uploaded ones by name, in any state, without architectures and problems."""
    entries = stores.weight_sets.list()
    return WeightSetList(weights=[WeightSetView.from_entry(entry, complete=False) for entry in entries])


@router.get("/{name}", responses=problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST))
def get_weights(name: PlainText, response: Response, stores: ReadStores) -> WeightSetView:
    """A weight set, with its architecture. While it is being checked, `Retry-After` says when to poll again."""
    entry = stores.weight_sets.get(name)
    if entry.state == WeightSetState.CHECKING:
        response.headers["Retry-After"] = str(POLL_S)
    return WeightSetView.from_entry(entry)


def _details(
    arch: Annotated[
        PublishedName | None,
        Query(
            description="architecture of the weights, as in GET /baselines; needed unless the file or its shapes say it"
        ),
    ] = None,
    mean: Annotated[
        Channels | None, Query(description=f"what is subtracted from pixels from 0 to 1; default: {_DEFAULTS['mean']}")
    ] = None,
    std: Annotated[
        Channels | None, Query(description=f"what they are then divided by; default: {_DEFAULTS['std']}")
    ] = None,
    source: Annotated[Statement | None, Query(description="where the weights come from")] = None,
    licence: Annotated[Statement | None, Query()] = None,
    top1_pct: Annotated[float | None, Query(ge=0, le=100, description="as published")] = None,
) -> WeightSetDetails:
    """What the uploader states."""
    return WeightSetDetails(
        network=arch, normalisation=_normalisation(mean, std), source=source, licence=licence, top1_pct=top1_pct
    )


@router.post(
    "",
    status_code=202,
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The file of weights: a checkpoint of AutoNL or other safetensors file with the same names, "
            "or a state dict of the PyTorch port, saved by torch.save.",
            "content": {WEIGHTS_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
    responses={
        200: {"model": WeightSetView, "description": "Already uploaded", "headers": header_schemas("Location")},
        202: {"description": "Stored; the check has started", "headers": header_schemas("Location", "Retry-After")},
        **problem_responses(
            problems.MALFORMED_REQUEST,
            problems.PAYLOAD_TOO_LARGE,
            problems.INVALID_REQUEST,
            problems.WEIGHTS_INVALID,
            problems.WEIGHTS_EXIST,
            problems.INSUFFICIENT_STORAGE,
            QUOTA_FORBIDS,
        ),
    },
)
async def add_weights(
    request: Request,
    response: Response,
    stores: DataStores,
    name: Annotated[NewName, Query()],
    details: Annotated[WeightSetDetails, Depends(_details)],
) -> WeightSetView:
    """Upload weights (`curl -T network.safetensors -X POST ".../weights?name=mine"`). They can be used once `ready`."""
    if not is_upload(request.scope):
        detail = f"send the file of weights as the body, with Content-Type: {WEIGHTS_TYPE}, or none"
        raise ProblemError(problems.MALFORMED_REQUEST, detail)
    added = await receive(
        request, _files_of_weights(stores), lambda upload: stores.weight_sets.add_upload(name, upload, details)
    )
    return _added_response(added, response)


@router.delete(
    "/{name}",
    status_code=204,
    responses=problem_responses(problems.NOT_FOUND, problems.WEIGHTS_IN_USE, problems.INVALID_REQUEST),
)
def delete_weights(name: PlainText, stores: DataStores) -> None:
    """Delete uploaded weights, and their file unless another weight set has the same content."""
    stores.weight_sets.delete(name)


def _added_response(added: AddedWeightSet, response: Response) -> WeightSetView:
    entry = added.entry
    response.headers["Location"] = f"/weights/{entry.name}"
    if entry.state == WeightSetState.CHECKING:
        response.headers["Retry-After"] = str(POLL_S)
    else:
        response.status_code = 200
    return WeightSetView.from_entry(entry)


def _files_of_weights(stores: Stores) -> UploadKind:
    return UploadKind(
        noun="file of weights",
        folder=stores.weight_sets.files,
        require_room=stores.quotas.require_room_for,
        max_bytes=stores.settings.max_weights_bytes,
        setting="AUTONL_MAX_WEIGHTS_BYTES",
        invalid=problems.WEIGHTS_INVALID,
    )


def _normalisation(mean: str | None, std: str | None) -> Normalisation | None:
    """Raises ProblemError if only one of them is given, or they are on another scale."""
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        missing, given = ("mean", "std") if mean is None else ("std", "mean")
        raise _bad_normalisation(missing, f"is needed together with {given}")
    values = {"mean": mean.split(","), "std": std.split(",")}
    try:
        return Normalisation.from_json(values)
    except WeightSetError as error:
        raise _bad_normalisation("mean" if str(error).startswith("mean") else "std", str(error)) from error


def _bad_normalisation(pointer: str, detail: str) -> ProblemError:
    field = FieldProblem(source="query", pointer=pointer, code="bad_normalisation", detail=detail)
    return problems.invalid_fields([field])
