"""Keys of one's own tenant: make, list and revoke them."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Request

from api import problems
from api.access import AdminStores, CallerDep
from api.dependencies import PlainText
from api.openapi_responses import problem_responses
from api.schemas.keys import KeyBody, KeyList, KeyView, NewKeyView

router = APIRouter(prefix="/keys", tags=["keys"])
_DENIED = (problems.UNAUTHORIZED, problems.FORBIDDEN)


@router.get("", responses=problem_responses(*_DENIED))
def list_keys(stores: AdminStores) -> KeyList:
    """The keys of your tenant, newest first, without their secrets."""
    return KeyList(keys=[KeyView.model_validate(key) for key in stores.keys.all()])


@router.post(
    "",
    status_code=201,
    responses=problem_responses(
        *_DENIED, problems.INVALID_REQUEST, problems.MALFORMED_REQUEST, problems.PAYLOAD_TOO_LARGE
    ),
)
def create_key(body: KeyBody, caller: CallerDep, stores: AdminStores) -> NewKeyView:
    """Make a key of your tenant. `key` is shown this once; only a hash of it is stored."""
    lasts = None if body.expires_in_days is None else timedelta(days=body.expires_in_days)
    key, text = stores.keys.create(caller.tenant_id, body.name, body.scopes, lasts=lasts)
    return NewKeyView(**KeyView.model_validate(key).model_dump(), key=text)


@router.delete(
    "/{key_id}",
    status_code=204,
    responses=problem_responses(*_DENIED, problems.NOT_FOUND, problems.INVALID_REQUEST),
)
def revoke_key(key_id: PlainText, request: Request, stores: AdminStores) -> None:
    """Revoke a key of your tenant, and end the sessions that signed in with it. Idempotent."""
    stores.keys.revoke(key_id)
    request.app.state.known_callers.forget()
