"""How the page signs in: it sends a key once, and then has a cookie that no script can read."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api import problems
from api.access import COOKIE, CallerDep, keys_required, open_to_all
from api.openapi_responses import problem_responses
from api.problems import ProblemError
from api.schemas.keys import SessionView, SignInBody
from store.keys import SESSION_S
from store.stores import Stores

router = APIRouter(prefix="/session", tags=["keys"])


@router.get("", responses=problem_responses(problems.UNAUTHORIZED))
async def get_session(request: Request, caller: CallerDep) -> SessionView:
    """Who you are to this service: your tenant, and what your key may do. 401: a key is needed."""
    return _view(request, caller.tenant_id, caller.key_name, sorted(caller.scopes))


@router.post(
    "",
    status_code=201,
    openapi_extra={"security": []},  # the key is in the body
    responses=problem_responses(
        problems.UNAUTHORIZED, problems.INVALID_REQUEST, problems.MALFORMED_REQUEST, problems.PAYLOAD_TOO_LARGE
    ),
)
@open_to_all
async def sign_in(body: SignInBody, request: Request, response: Response) -> SessionView:
    """Exchange a key for a session of this browser, which lasts 12 hours, or until its key is revoked."""
    stores: Stores = request.app.state.stores
    caller = await run_in_threadpool(stores.keys.find, body.key.strip())
    if caller is None:
        headers = {"WWW-Authenticate": 'Bearer realm="AutoNL"'}
        raise ProblemError(problems.UNAUTHORIZED, "the key is unknown, expired or revoked", headers=headers)
    token = await run_in_threadpool(stores.keys.sign_in, caller)
    response.set_cookie(
        COOKIE, token, max_age=int(SESSION_S), httponly=True, samesite="strict", secure=_secure(request)
    )
    return _view(request, caller.tenant_id, caller.key_name, sorted(caller.scopes))


@router.delete("", status_code=204)
@open_to_all
async def sign_out(request: Request, response: Response) -> None:
    """End the session of this browser, if there is one."""
    token = request.cookies.get(COOKIE)
    if token is not None:
        stores: Stores = request.app.state.stores
        await run_in_threadpool(stores.keys.sign_out, token)
        request.app.state.known_callers.forget()
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=_secure(request))


def _secure(request: Request) -> bool:
    """Whether the browser came by https, as far as this service or a proxy before it says."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").split(",")[0].strip())


def _view(request: Request, tenant_id: str, key: str | None, scopes: list[str]) -> SessionView:
    required = keys_required(request)
    return SessionView.model_validate({"tenant": tenant_id, "key": key, "scopes": scopes, "key_required": required})
