"""How many requests a key, or a tenant without one, may send per minute: reads, submits and uploads apart.

Counted by the library `limits` on the Valkey of the broker, so that all API processes count together. While that does
not respond, and where the broker is none, each process counts in its own memory. The header fields are those of
draft-ietf-httpapi-ratelimit-headers.
"""

from __future__ import annotations

import logging
import math
import time
from typing import Any, Literal

from fastapi import Request
from limits import RateLimitItem, RateLimitItemPerMinute, WindowStats
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from api.access import CallerDep
from api.problems import ProblemError
from api.quota_problems import RATE_LIMITED
from api.upload_detection import is_upload
from store.settings import Settings

RouteClass = Literal["reads", "submits", "uploads"]
_ANSWER_S = 0.25  # for which the broker is waited
_AWAY_S = 10.0  # for which a broker that did not respond is not asked again
_REDIS_SCHEMES = ("redis://", "rediss://", "redis+socket://")

log = logging.getLogger("autonl.api")


def route_class(request: Request) -> RouteClass:
    """What kind of request it is."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return "reads"
    return "uploads" if is_upload(request.scope) else "submits"


class RateLimits:
    """The counters of one API process. None are kept where settings have no limit."""

    def __init__(self, settings: Settings) -> None:
        per_minute: dict[RouteClass, int] = {
            "reads": settings.rate_reads_per_minute,
            "submits": settings.rate_submits_per_minute,
            "uploads": settings.rate_uploads_per_minute,
        }
        self._limits = {kind: RateLimitItemPerMinute(count) for kind, count in per_minute.items() if count}
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._connections = _connections(settings.broker_url) if self._limits else None
        self._shared = None if self._connections is None else _shared_counters(self._connections)
        self._away_until = 0.0
        self._is_away = False

    async def close(self) -> None:
        if self._connections is not None:
            await self._connections.aclose()

    async def count(self, request: Request, client: str) -> None:
        """Count a request of `client`, and leave the header fields in its scope. Raises the problem `rate-limited`."""
        kind = route_class(request)
        limit = self._limits.get(kind)
        if limit is None:
            return
        allowed, stats = await self._hit(limit, kind, client)
        reset_s = max(1, math.ceil(stats.reset_time - time.time()))
        window_s = limit.get_expiry()
        request.scope["autonl.headers"] |= {
            "RateLimit-Policy": f'"{kind}";q={limit.amount};w={window_s}',
            "RateLimit": f'"{kind}";r={max(0, stats.remaining)};t={reset_s}',
        }
        if not allowed:
            detail = (
                f"{limit.amount:,} requests of the kind `{kind}` were sent within {window_s} s, as many as are "
                f"allowed; wait {reset_s} s"
            )
            members: dict[str, Any] = {"policy": kind, "limit": limit.amount, "window_s": window_s}
            raise ProblemError(RATE_LIMITED, detail, headers={"Retry-After": str(reset_s)}, **members)

    async def _hit(self, limit: RateLimitItem, kind: RouteClass, client: str) -> tuple[bool, WindowStats]:
        """Count in Valkey, or in the memory of this process while it does not respond: the API stays up."""
        key = "autonl", kind, client
        if self._shared is not None and time.monotonic() >= self._away_until:
            try:
                answer = await self._shared.hit(limit, *key), await self._shared.get_window_stats(limit, *key)
            except (RedisError, OSError) as error:
                self._away_until = time.monotonic() + _AWAY_S
                if not self._is_away:
                    log.warning("rate limits are counted by each API process: the broker does not respond: %s", error)
                self._is_away = True
            else:
                if self._is_away:
                    log.warning("rate limits are counted by all API processes together again")
                self._is_away = False
                return answer
        return await self._own.hit(limit, *key), await self._own.get_window_stats(limit, *key)


def _connections(broker_url: str) -> ConnectionPool | None:
    if not broker_url.startswith(_REDIS_SCHEMES):
        log.warning("rate limits are counted by each API process: the broker is no Valkey or Redis")
        return None
    url = broker_url.replace("redis+socket://", "unix://")
    return ConnectionPool.from_url(url, socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S)


def _shared_counters(connections: ConnectionPool) -> SlidingWindowCounterRateLimiter:
    options: dict[str, Any] = {"connection_pool": connections}
    return SlidingWindowCounterRateLimiter(RedisStorage("async+redis://", implementation="redispy", **options))


async def limit_rate(request: Request, caller: CallerDep) -> None:
    """The dependency of every route whose requests are counted: together for a key, or for a tenant without one."""
    client = f"tenant:{caller.tenant_id}" if caller.key_id is None else f"key:{caller.key_id}"
    await request.app.state.rate_limits.count(request, client)
