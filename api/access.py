"""Who sends a request, and what that key may do: the stores of a request are those of its tenant, by a stated scope.

A key comes as `Authorization: Bearer KEY`, or as the cookie of a page that signed in with it. None is needed while the
service is used from its own machine only (`keys_required`).
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from starlette.concurrency import run_in_threadpool

from api import problems
from api.problems import ProblemError
from store.db import UNAVAILABLE
from store.keys import ANYONE, USED_EVERY_S, Caller, KeyStore, Scope
from store.stores import Stores
from store.tenant_rows import DEFAULT_TENANT

COOKIE = "autonl_session"
KNOWN_S = 1.0  # how long a key that was looked up is not looked up again: a revoked one is refused after that
_MAX_KNOWN = 10_000
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="AutoNL"'}


class KnownCallers:
    """Remembers for a moment whose a key is, and notes now and then, beside the requests, that it was used."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._known: dict[bytes, tuple[float, Caller]] = {}
        self._used: dict[str, float] = {}
        self._writer = ThreadPoolExecutor(1, "key-uses")

    def close(self) -> None:
        self._writer.shutdown(cancel_futures=True)

    def forget(self) -> None:
        """Look every key up again."""
        self._known.clear()

    async def find(self, token: str, *, is_session: bool) -> Caller | None:
        """Whose key or session `token` is; None: of no one."""
        digest = hashlib.sha256(f"{is_session} {token}".encode()).digest()
        moment, known = time.monotonic(), self._known.get(digest)
        if known is not None and moment - known[0] < KNOWN_S:
            return known[1]
        look_up = self._keys.find_session if is_session else self._keys.find
        caller = await run_in_threadpool(look_up, token)
        self._known.pop(digest, None)
        if caller is not None:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[digest] = moment, caller
            self._note_use(caller.key_id or "", moment)
        return caller

    def _note_use(self, key_id: str, moment: float) -> None:
        if moment - self._used.get(key_id, -USED_EVERY_S) >= USED_EVERY_S:
            self._used[key_id] = moment
            self._writer.submit(self._write_use, key_id)

    def _write_use(self, key_id: str) -> None:
        try:
            self._keys.used(key_id)
        except UNAVAILABLE:
            self._used.pop(key_id, None)  # the next lookup tries again


def keys_required(request: Request) -> bool:
    """Whether a request needs a key: where settings say so, and wherever it reached another address than loopback."""
    if request.app.state.settings.require_keys:
        return True
    server = request.scope.get("server")
    return server is None or not is_loopback(server[0])


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def presented_key(request: Request) -> tuple[str, bool] | None:
    """The key that a request brings, or its session, and whether it is a session.

    A client that sends a header means it: a cookie that came along does not count.
    """
    header = request.headers.get("authorization")
    if header is not None:
        kind, _, token = header.partition(" ")
        if kind.lower() == "bearer":
            return token.strip(), False
        if keys_required(request):  # otherwise it is meant for a proxy on the way
            raise _unauthorized("send the key as Authorization: Bearer KEY")
    session = request.cookies.get(COOKIE)
    return (session, True) if session is not None else None


async def caller_of(request: Request) -> Caller:
    """Who sends a request. Raises the problem `unauthorized`."""
    presented = presented_key(request)
    if presented is None:
        if keys_required(request):
            raise _unauthorized("send a key as Authorization: Bearer KEY, or sign in on the page")
        return _seen(request, ANYONE)
    token, is_session = presented
    caller = await request.app.state.known_callers.find(token, is_session=is_session)
    if caller is None and is_session and not keys_required(request):
        return _seen(request, ANYONE)  # a cookie of another time
    if caller is None:
        what = "the session has ended; sign in again" if is_session else "the key is unknown, expired or revoked"
        raise _unauthorized(what)
    return _seen(request, caller)


def _seen(request: Request, caller: Caller) -> Caller:
    """Leave what logs say of the caller (`api/caller.py`)."""
    request.state.tenant_id, request.state.key_id = caller.tenant_id, caller.key_id
    return caller


CallerDep = Annotated[Caller, Depends(caller_of)]


class Needs:
    """A dependency that lets keys with a scope in; it gives a route the stores of their tenant.

    Args:
        whole_service: let in only keys of the default tenant, whose the service is.
    """

    def __init__(self, scope: Scope, *, whole_service: bool = False) -> None:
        self.scope = scope
        self.whole_service = whole_service

    async def __call__(self, request: Request, caller: CallerDep) -> Stores:
        if self.scope not in caller.scopes:
            has = ", ".join(sorted(caller.scopes)) or "none"
            raise _forbidden(f"this needs a key with the scope '{self.scope}'; this one has: {has}", self.scope)
        stores: Stores = request.app.state.stores
        if not self.whole_service:
            return stores.of_tenant(caller.tenant_id)
        if caller.tenant_id != DEFAULT_TENANT:
            detail = f"this concerns the whole service: it needs a key of the tenant {DEFAULT_TENANT!r}"
            raise _forbidden(f"{detail} with the scope '{self.scope}'", self.scope)
        return stores


def needs_of(dependant: Dependant) -> Needs | None:
    """What a route states about the keys that it lets in, by its parameters; None if it states nothing."""
    for part in dependant.dependencies:
        if isinstance(part.call, Needs):
            return part.call
        if (found := needs_of(part)) is not None:
            return found
    return None


ReadStores = Annotated[Stores, Depends(Needs(Scope.READ))]
SubmitStores = Annotated[Stores, Depends(Needs(Scope.SUBMIT))]
DataStores = Annotated[Stores, Depends(Needs(Scope.DATA))]
AdminStores = Annotated[Stores, Depends(Needs(Scope.ADMIN))]
ServiceStores = Annotated[Stores, Depends(Needs(Scope.ADMIN, whole_service=True))]


def open_to_all(route: Callable[..., object]) -> Callable[..., object]:
    """States of a route that it needs no key: it has nothing of any tenant."""
    route.__dict__["autonl_open"] = True
    return route


async def needs_any_key(_caller: CallerDep) -> None:
    """The dependency of routes that any key may use, whatever its scopes."""


def _unauthorized(detail: str) -> ProblemError:
    return ProblemError(problems.UNAUTHORIZED, detail, headers=_CHALLENGE)


def _forbidden(detail: str, scope: Scope) -> ProblemError:
    return ProblemError(problems.FORBIDDEN, detail, scope=scope.value)
