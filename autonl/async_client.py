"""The client with coroutines, for asyncio and trio."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec

from autonl import device_operations, input_operations, model_operations, search_operations, webhook_operations
from autonl.awaiting import AwaitingCaller
from autonl.steps import Call, Iteration, T

P = ParamSpec("P")


def _awaited(call: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """A coroutine method that makes the call."""

    @functools.wraps(call)
    async def method(client: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client.run(call(*args, **kwargs))

    return method


def _iterating(call: Callable[P, Iteration[T]]) -> Callable[Concatenate[AsyncClient, P], AsyncGenerator[T]]:
    """A method that iterates over what the call shows."""

    @functools.wraps(call)
    def method(client: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T]:
        return client.iterate(call(*args, **kwargs))

    return method


class AsyncClient(AwaitingCaller):
    """`autonl.Client` with coroutines: the same methods and arguments. `async for` iterates over events and searches.

    Callbacks, such as `on_progress`, are plain functions.
    """

    start_search = _awaited(search_operations.start_search)
    validate_search = _awaited(search_operations.validate_search)
    search = _awaited(search_operations.search)
    searches = _iterating(search_operations.searches)
    wait = _awaited(search_operations.wait)
    events = _iterating(search_operations.events)
    cancel = _awaited(search_operations.cancel)
    pause = _awaited(search_operations.pause)
    resume = _awaited(search_operations.resume)
    change_labels = _awaited(search_operations.change_labels)
    compare = _awaited(search_operations.compare)
    usage = _awaited(search_operations.usage)
    delete_search = _awaited(search_operations.delete_search)
    download = _awaited(search_operations.download)
    upload_dataset = _awaited(input_operations.upload_dataset)
    dataset = _awaited(input_operations.dataset)
    datasets = _awaited(input_operations.datasets)
    wait_for_dataset = _awaited(input_operations.wait_for_dataset)
    delete_dataset = _awaited(input_operations.delete_dataset)
    upload_weights = _awaited(input_operations.upload_weights)
    weights = _awaited(input_operations.weights)
    list_weights = _awaited(input_operations.list_weights)
    wait_for_weights = _awaited(input_operations.wait_for_weights)
    delete_weights = _awaited(input_operations.delete_weights)
    add_device = _awaited(device_operations.add_device)
    device = _awaited(device_operations.device)
    devices = _awaited(device_operations.devices)
    delete_device = _awaited(device_operations.delete_device)
    models = _awaited(model_operations.models)
    model = _awaited(model_operations.model)
    alias = _awaited(model_operations.alias)
    promote = _awaited(model_operations.promote)
    roll_back = _awaited(model_operations.roll_back)
    remove_alias = _awaited(model_operations.remove_alias)
    download_model = _awaited(model_operations.download_model)
    add_webhook = _awaited(webhook_operations.add_webhook)
    webhook = _awaited(webhook_operations.webhook)
    webhooks = _awaited(webhook_operations.webhooks)
    change_webhook = _awaited(webhook_operations.change_webhook)
    delete_webhook = _awaited(webhook_operations.delete_webhook)
    rotate_webhook_secret = _awaited(webhook_operations.rotate_webhook_secret)
    test_webhook = _awaited(webhook_operations.test_webhook)
    deliveries = _iterating(webhook_operations.deliveries)
    delivery = _awaited(webhook_operations.delivery)
    resend_delivery = _awaited(webhook_operations.resend_delivery)
    wait_for_delivery = _awaited(webhook_operations.wait_for_delivery)
