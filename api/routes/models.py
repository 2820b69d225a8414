"""Models: names with aliases under which results are used, such as `prod` of `products`; promote, roll back, download.

What uses `products@prod` downloads `/models/products/aliases/prod/checkpoint` and gets the network that the alias
stands for now. Who chose it, when and why is in the history.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.responses import StreamingResponse

from api import model_problems, problems
from api.access import ReadStores, SubmitStores
from api.checkpoint_files import CHECKPOINT_RESPONSES, Asked, checkpoint_response
from api.dependencies import PlainText
from api.openapi_responses import header_schemas, problem_responses
from api.schemas.models import ModelHistoryView, ModelList, PromotionBody, PromotionView, RollbackBody
from autonl_core.spec.name_field import Name

ModelName = Annotated[PlainText, Path(description="name of a model")]
AliasName = Annotated[PlainText, Path(description="name of an alias of the model")]
_NAMED = problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST)
_WITH_BODY = problem_responses(problems.MALFORMED_REQUEST, problems.PAYLOAD_TOO_LARGE)

router = APIRouter(prefix="/models", tags=["models"])


@router.get("")
def list_models(stores: ReadStores) -> ModelList:
    """All models by name, with what their aliases stand for."""
    return ModelList.from_entries(stores.models.list())


@router.get("/{model}", responses=_NAMED)
def get_model(model: ModelName, stores: ReadStores) -> ModelHistoryView:
    """A model: what its aliases stand for, and its history."""
    history = [PromotionView.from_entry(entry) for entry in stores.models.history(model)]
    aliases = [PromotionView.from_entry(entry) for entry in stores.models.aliases(model)]
    return ModelHistoryView(name=model, aliases=aliases, history=history)


@router.get("/{model}/aliases/{alias}", responses=_NAMED)
def get_alias(model: ModelName, alias: AliasName, stores: ReadStores) -> PromotionView:
    """What an alias stands for."""
    return PromotionView.from_entry(stores.models.get(model, alias))


@router.put(
    "/{model}/aliases/{alias}",
    responses={
        200: {"description": "The alias stands for it already, with the same note"},
        201: {"model": PromotionView, "description": "Promoted", "headers": header_schemas("Location")},
        **_NAMED,
        **_WITH_BODY,
        **problem_responses(problems.STATE_CONFLICT, model_problems.TOO_MANY_ALIASES),
    },
)
def promote_search(
    model: Annotated[Name, Path(description="name of a model; a new one is made")],
    alias: Annotated[Name, Path(description="name of an alias of the model; a new one is made")],
    body: PromotionBody,
    request: Request,
    response: Response,
    stores: SubmitStores,
) -> PromotionView:
    """Let an alias stand for the result of a search from now on. The search and its files stay as long as it does."""
    key_id = request.state.key_id
    promoted = stores.models.promote(model, alias, body.search_id, note=body.note, key_id=key_id)
    if promoted.created:
        response.status_code = 201
        response.headers["Location"] = f"/models/{model}/aliases/{alias}"
    return PromotionView.from_entry(promoted.entry)


@router.post(
    "/{model}/aliases/{alias}/rollback",
    responses={**_NAMED, **_WITH_BODY, **problem_responses(model_problems.CANNOT_ROLL_BACK)},
)
def roll_back_alias(
    model: ModelName, alias: AliasName, body: RollbackBody, request: Request, stores: SubmitStores
) -> PromotionView:
    """Let an alias stand for what it stood for before its current promotion; again, for what was before that."""
    key_id = request.state.key_id
    return PromotionView.from_entry(stores.models.roll_back(model, alias, body.number, note=body.note, key_id=key_id))


@router.delete("/{model}/aliases/{alias}", status_code=204, responses=_NAMED)
def remove_alias(model: ModelName, alias: AliasName, stores: SubmitStores) -> None:
    """Remove an alias with its history, and the model with its last alias. The searches stay."""
    stores.models.remove(model, alias)


@router.get("/{model}/aliases/{alias}/checkpoint", response_class=StreamingResponse, responses=CHECKPOINT_RESPONSES)
@router.head("/{model}/aliases/{alias}/checkpoint", include_in_schema=False)
def download_model(model: ModelName, alias: AliasName, request: Request, stores: ReadStores, asked: Asked) -> Response:
    """The trained network that an alias stands for, as `GET /architectures/{arch_id}/checkpoint`.

    Its ETag changes when another result is promoted: `If-None-Match` asks whether there is something new.
    """
    promotion = stores.models.get(model, alias).promotion
    return checkpoint_response(request, stores, promotion.arch_id, promotion.search_id, asked)
