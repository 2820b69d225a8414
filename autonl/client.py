"""The client with blocking calls."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from typing import Concatenate, ParamSpec

from autonl import device_operations, input_operations, model_operations, search_operations, webhook_operations
from autonl.blocking import BlockingCaller
from autonl.steps import Call, Iteration, T

P = ParamSpec("P")


def _blocking(call: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    """A method that makes the call."""

    @functools.wraps(call)
    def method(client: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client.run(call(*args, **kwargs))

    return method


def _iterating(call: Callable[P, Iteration[T]]) -> Callable[Concatenate[Client, P], Generator[T]]:
    """A method that iterates over what the call shows."""

    @functools.wraps(call)
    def method(client: Client, /, *args: P.args, **kwargs: P.kwargs) -> Generator[T]:
        return client.iterate(call(*args, **kwargs))

    return method


class Client(BlockingCaller):
    """Calls one service. Close it, or use it as a context manager. Its methods raise AutonlError.

    Args:
        url: of the service; None: what AUTONL_URL says, or the service of this machine.
        key: API key; None: what AUTONL_KEY says, if anything.
        retries: how often a request is sent again after status 429 and 503 and errors of the connection, with growing
            waits. Only requests that may be sent twice are.
    """

    start_search = _blocking(search_operations.start_search)
    validate_search = _blocking(search_operations.validate_search)
    search = _blocking(search_operations.search)
    searches = _iterating(search_operations.searches)
    wait = _blocking(search_operations.wait)
    events = _iterating(search_operations.events)
    cancel = _blocking(search_operations.cancel)
    pause = _blocking(search_operations.pause)
    resume = _blocking(search_operations.resume)
    change_labels = _blocking(search_operations.change_labels)
    compare = _blocking(search_operations.compare)
    usage = _blocking(search_operations.usage)
    delete_search = _blocking(search_operations.delete_search)
    download = _blocking(search_operations.download)
    upload_dataset = _blocking(input_operations.upload_dataset)
    dataset = _blocking(input_operations.dataset)
    datasets = _blocking(input_operations.datasets)
    wait_for_dataset = _blocking(input_operations.wait_for_dataset)
    delete_dataset = _blocking(input_operations.delete_dataset)
    upload_weights = _blocking(input_operations.upload_weights)
    weights = _blocking(input_operations.weights)
    list_weights = _blocking(input_operations.list_weights)
    wait_for_weights = _blocking(input_operations.wait_for_weights)
    delete_weights = _blocking(input_operations.delete_weights)
    add_device = _blocking(device_operations.add_device)
    device = _blocking(device_operations.device)
    devices = _blocking(device_operations.devices)
    delete_device = _blocking(device_operations.delete_device)
    models = _blocking(model_operations.models)
    model = _blocking(model_operations.model)
    alias = _blocking(model_operations.alias)
    promote = _blocking(model_operations.promote)
    roll_back = _blocking(model_operations.roll_back)
    remove_alias = _blocking(model_operations.remove_alias)
    download_model = _blocking(model_operations.download_model)
    add_webhook = _blocking(webhook_operations.add_webhook)
    webhook = _blocking(webhook_operations.webhook)
    webhooks = _blocking(webhook_operations.webhooks)
    change_webhook = _blocking(webhook_operations.change_webhook)
    delete_webhook = _blocking(webhook_operations.delete_webhook)
    rotate_webhook_secret = _blocking(webhook_operations.rotate_webhook_secret)
    test_webhook = _blocking(webhook_operations.test_webhook)
    deliveries = _iterating(webhook_operations.deliveries)
    delivery = _blocking(webhook_operations.delivery)
    resend_delivery = _blocking(webhook_operations.resend_delivery)
    wait_for_delivery = _blocking(webhook_operations.wait_for_delivery)
