"""When a request is sent again, and after how long."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from autonl.errors import AutonlError, ConnectionFailed, Refused
from autonl.steps import AnyCall, Call, Done, Pause, Reply, Request, Send, T, advance, send

RETRIES = 4  # by default; with the waits below, a service may be away for about eight seconds
LONGEST_WAIT_S = 60.0  # a service that asks for more is not waited for
_FIRST_WAIT_S = 0.5  # doubles with every retry
_PATIENT_WAIT_S = 1.0
_TEMPORARY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


def with_retries(call: AnyCall[T], retries: int) -> AnyCall[T]:
    """`call`, whose requests are sent again after status 429 and 503 and after errors of the connection.

    A request that must not be sent twice is sent once. `Retry-After` is honoured up to LONGEST_WAIT_S. Responses that
    are read in parts are left to those who read them: they know what they have received.
    """
    with contextlib.closing(call):
        step = advance(call)
        while not isinstance(step, Done):
            try:
                outcome = (yield from _sent(step.request, retries)) if isinstance(step, Send) else (yield step)
            except ConnectionFailed as error:
                step = advance(call, error=error)
            else:
                step = advance(call, outcome)
        return step.result


def _sent(request: Request, retries: int) -> Call[Reply]:
    """The response to a request, the last one if all were temporary refusals. Raises ConnectionFailed."""
    sent, failures, reconnected = 0, 0, False
    while True:
        sent += 1
        try:
            reply = replace((yield from send(request)), tries=sent)
        except ConnectionFailed as error:
            if request.repeatable and error.broken and not reconnected:
                reconnected = True  # the service may have closed a connection that had been used before
                continue
            failures += 1
            if not request.repeatable or failures > retries:
                raise
            wait_s = backoff_s(failures)
        else:
            failures += 1
            wait_s = max(backoff_s(failures), retry_after_s(reply) or 0.0)
            if reply.status not in _TEMPORARY or not request.repeatable or failures > retries:
                return reply
            if wait_s > LONGEST_WAIT_S:
                return reply
        yield Pause(wait_s)


def patiently(make_call: Callable[[], Call[T]], patience_s: float) -> Call[T]:
    """What a call returns, which is made again for a while if the service restarts or its database is down."""
    give_up_at = time.monotonic() + patience_s
    while True:
        try:
            return (yield from make_call())
        except AutonlError as error:
            if not is_temporary(error) or time.monotonic() > give_up_at:
                raise
        yield Pause(_PATIENT_WAIT_S)


def backoff_s(failures: int) -> float:
    """How long to wait after that many failures in a row: doubling, and not the same for all clients."""
    return _FIRST_WAIT_S * 2.0 ** (failures - 1) * random.uniform(0.75, 1.25)  # noqa: S311  (no secret)


def retry_after_s(reply: Reply) -> float | None:
    """What `Retry-After` asks for, as seconds or as a date; None without it, or if it is neither."""
    text = reply.headers.get("retry-after", "")
    try:
        return max(0.0, float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def is_temporary(error: AutonlError) -> bool:
    """Whether the same request may succeed later: no response, or the service could not serve it."""
    if isinstance(error, Refused):
        return error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status in _TEMPORARY
    return isinstance(error, ConnectionFailed)
