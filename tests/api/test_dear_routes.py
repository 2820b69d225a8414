"""Dear requests take turns, and leave as much time to all others as they took."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from fastapi import FastAPI, Request

from api.dear_routes import compute, one_at_a_time

WORK_S = 0.1


def a_request() -> Request:
    """A request to an application that has nothing else."""
    app = FastAPI()
    app.state.dear_routes = one_at_a_time()
    return Request({"type": "http", "app": app})


async def times_of(request: Request, count: int) -> list[tuple[float, float, float]]:
    """When each of so many computations began and ended, and when its answer was there; all are asked for at once."""

    def work() -> tuple[float, float]:
        began = time.perf_counter()
        time.sleep(WORK_S)
        return began, time.perf_counter()

    async def one() -> tuple[float, float, float]:
        return *await compute(request, work), time.perf_counter()

    return await asyncio.gather(*(one() for _ in range(count)))


def test_they_take_turns_and_rest_as_long_as_they_took() -> None:
    first, second, third = asyncio.run(times_of(a_request(), 3))
    for (_, ended, _), (began, _, _) in ((first, second), (second, third)):
        assert began - ended >= 0.9 * WORK_S  # clocks and timers differ by a little


def test_an_answer_does_not_wait_for_the_rest() -> None:
    for _, ended, answered in asyncio.run(times_of(a_request(), 2)):
        assert answered - ended < 0.9 * WORK_S


def test_one_that_fails_lets_the_next_one_in() -> None:
    async def twice(request: Request) -> Any:
        def fail() -> None:
            raise ValueError("made to fail")

        with pytest.raises(ValueError, match="made to fail"):
            await compute(request, fail)
        return await asyncio.wait_for(compute(request, lambda: "answer"), timeout=10)

    assert asyncio.run(twice(a_request())) == "answer"
