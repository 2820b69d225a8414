"""Webhooks: add, list, change and delete them, test calls, the log of deliveries. Calls are made by a sender.

The API itself never connects to a URL of a client, and resolves no name of one.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from api import problems
from api.access import AdminStores
from api.dependencies import PlainText
from api.openapi_responses import header_schemas, problem_responses
from api.schemas.problems import FieldProblem
from api.schemas.webhooks import (
    DeliveryList,
    DeliveryView,
    WebhookBody,
    WebhookChangeBody,
    WebhookList,
    WebhookSecretView,
    WebhookView,
)
from store.stores import Stores
from store.webhooks.registry import MAX_DELIVERIES, WebhookChange
from store.webhooks.rows import DeliveryState
from store.webhooks.urls import WebhookUrl, WebhookUrlError

POLL_S = 1  # how often to poll a message that waits

WebhookId = Annotated[PlainText, Path(description="id of a webhook")]
DeliveryId = Annotated[PlainText, Path(description="id of a message")]
_ACCEPTED: dict[int | str, dict[str, Any]] = {202: {"headers": header_schemas("Location", "Retry-After")}}
_NAMED = problem_responses(problems.NOT_FOUND, problems.INVALID_REQUEST)
_WITH_BODY = problem_responses(problems.MALFORMED_REQUEST, problems.PAYLOAD_TOO_LARGE, problems.INVALID_REQUEST)

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


@router.post(
    "",
    status_code=201,
    responses={
        201: {"headers": header_schemas("Location")},
        **_WITH_BODY,
        **problem_responses(problems.TOO_MANY_WEBHOOKS),
    },
)
def add_webhook(body: WebhookBody, response: Response, stores: AdminStores) -> WebhookSecretView:
    """Have events sent to a URL from now on. The secret in the response is not shown again."""
    added = stores.webhooks.add(_checked(body.url, stores), body.kinds, body.description)
    response.headers["Location"] = f"/webhooks/{added.webhook.id}"
    return WebhookSecretView.from_entry(added)


@router.get("")
def list_webhooks(stores: AdminStores) -> WebhookList:
    """All webhooks, the oldest first, without their secrets."""
    return WebhookList(webhooks=[WebhookView.from_entry(entry) for entry in stores.webhooks.list()])


@router.get("/{webhook_id}", responses=_NAMED)
def get_webhook(webhook_id: WebhookId, stores: AdminStores) -> WebhookView:
    """A webhook, without its secret."""
    return WebhookView.from_entry(stores.webhooks.get(webhook_id))


@router.patch("/{webhook_id}", responses={**_NAMED, **_WITH_BODY})
def change_webhook(webhook_id: WebhookId, body: WebhookChangeBody, stores: AdminStores) -> WebhookView:
    """Change, pause or enable a webhook. Enabled, it is sent what waits: at most 10,000 messages of the last week."""
    url = body.given("url")
    change = WebhookChange(
        url=None if url is None else _checked(url, stores),
        kinds=body.given("kinds"),
        description=body.given("description"),
        active=body.given("active"),
    )
    return WebhookView.from_entry(stores.webhooks.change(webhook_id, change))


@router.delete("/{webhook_id}", status_code=204, responses=_NAMED)
def delete_webhook(webhook_id: WebhookId, stores: AdminStores) -> None:
    """Delete a webhook with its messages, also those that wait."""
    stores.webhooks.delete(webhook_id)


@router.post("/{webhook_id}/rotate", responses=_NAMED)
def rotate_webhook_secret(webhook_id: WebhookId, stores: AdminStores) -> WebhookSecretView:
    """Give a webhook a new secret. For a day, messages are signed with the old one as well."""
    return WebhookSecretView.from_entry(stores.webhooks.rotate(webhook_id))


@router.post("/{webhook_id}/test", status_code=202, responses={**_ACCEPTED, **_NAMED})
def test_webhook(webhook_id: WebhookId, response: Response, stores: AdminStores) -> DeliveryView:
    """Send a test call, once, also to a paused or disabled webhook. Poll `Location` for its result."""
    return _waiting(DeliveryView.model_validate(stores.webhooks.test(webhook_id)), webhook_id, response)


@router.get("/{webhook_id}/deliveries", responses=_NAMED)
def list_webhook_deliveries(
    webhook_id: WebhookId,
    stores: AdminStores,
    state: DeliveryState | None = None,
    before: Annotated[PlainText | None, Query(description="`next_before` of the previous answer")] = None,
    page_size: Annotated[int, Query(ge=1, le=MAX_DELIVERIES)] = 50,
) -> DeliveryList:
    """What was sent and what waits, newest first. Messages are kept for 30 days after their end."""
    found = stores.webhooks.deliveries(webhook_id, state=state, before=before, limit=page_size + 1)
    page = [DeliveryView.model_validate(row) for row in found[:page_size]]
    return DeliveryList(deliveries=page, next_before=page[-1].id if len(found) > page_size else None)


@router.get("/{webhook_id}/deliveries/{delivery_id}", responses=_NAMED)
def get_webhook_delivery(webhook_id: WebhookId, delivery_id: DeliveryId, stores: AdminStores) -> DeliveryView:
    """A message, and the last try to send it."""
    return DeliveryView.model_validate(stores.webhooks.delivery(webhook_id, delivery_id))


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/resend",
    status_code=202,
    responses={**_ACCEPTED, **_NAMED},
)
def resend_webhook_delivery(
    webhook_id: WebhookId, delivery_id: DeliveryId, response: Response, stores: AdminStores
) -> DeliveryView:
    """Send a message again, under the same id. Poll `Location` for its result."""
    sent = stores.webhooks.resend(webhook_id, delivery_id)
    return _waiting(DeliveryView.model_validate(sent), webhook_id, response)


def _checked(url: str, stores: Stores) -> str:
    """Raises ProblemError."""
    try:
        WebhookUrl.parse(url, loopback=stores.settings.webhook_loopback)
    except WebhookUrlError as error:
        field = FieldProblem(pointer="/url", code="bad_url", detail=str(error))
        raise problems.invalid_fields([field]) from error
    return url


def _waiting(delivery: DeliveryView, webhook_id: str, response: Response) -> DeliveryView:
    response.headers["Location"] = f"/webhooks/{webhook_id}/deliveries/{delivery.id}"
    response.headers["Retry-After"] = str(POLL_S)
    return delivery
