"""A request with an `Idempotency-Key` that was answered before gets its first answer again, whatever it says.

So a client may repeat what it has no answer to, for a day: also after what it created was deleted, and after rules or
defaults have changed. Only successes are kept; a refused request created nothing and may be sent again, corrected.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from api.access import caller_of, needs_of
from store.answers import Answer

_DONE = (201, 202)  # what only validates is not kept
_KEPT_HEADERS = ("content-type", "etag", "location", "retry-after")
REPLAYED = {"Idempotency-Replayed": "true"}


class RouteWithFirstAnswers(APIRoute):
    """A route whose POST requests are answered once per key."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer_now, needed = super().get_route_handler(), needs_of(self.dependant)

        async def answer(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            if request.method != "POST" or key is None or needed is None:
                return await answer_now(request)
            stores = await needed(request, await caller_of(request))  # a first answer is for those who may ask
            asked = f"POST {request.scope['path']}", key, await _fingerprint(request)
            known = await run_in_threadpool(stores.answers.find, *asked)
            if known is not None:
                return _response(known, replayed=True)
            response = await answer_now(request)
            if response.status_code not in _DONE:
                return response
            first = _answer(response)
            kept = await run_in_threadpool(stores.answers.keep, *asked, first)
            return _response(kept, replayed=kept != first)

        return answer


async def _fingerprint(request: Request) -> str:
    """A hash of the request as it was sent, but for whitespace and the order of fields."""
    body = await request.body()
    try:
        sent = json.dumps(json.loads(body), sort_keys=True).encode()
    except (ValueError, RecursionError):  # it will be refused
        sent = body
    query = json.dumps(sorted(request.query_params.multi_items())).encode()
    return hashlib.sha256(query + b"\0" + sent).hexdigest()


def _answer(response: Response) -> Answer:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return Answer(response.status_code, headers, bytes(response.body).decode())


def _response(answer: Answer, *, replayed: bool) -> Response:
    return Response(answer.body, answer.status, {**answer.headers, **(REPLAYED if replayed else {})})
