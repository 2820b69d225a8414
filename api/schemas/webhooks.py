"""Webhooks: what a client says about one, what it sees of it, and the log of what was sent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AliasPath, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from api.schemas.base import View
from autonl_core.spec.event_kinds import EventKind
from store.json_values import plain_text
from store.webhooks.registry import FINAL_KINDS, WebhookEntry
from store.webhooks.rows import DeliveryState, WebhookState
from store.webhooks.urls import MAX_URL

_KINDS_HELP = "kinds of events to send (docs/events.md); those that end a search if it is left out"
UrlText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL)]
Kinds = Annotated[list[EventKind], Field(min_length=1, max_length=len(EventKind))]
Description = Annotated[str, StringConstraints(max_length=500), AfterValidator(plain_text)]


class WebhookBody(BaseModel):
    """The JSON body of `POST /webhooks`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"url": "https://example.org/hooks/autonl", "kinds": ["succeeded", "failed"]}},
    )

    url: UrlText = Field(description="https URL with a public address, which is called by POST")
    kinds: Kinds = Field(default=[EventKind(kind) for kind in FINAL_KINDS], description=_KINDS_HELP)
    description: Description = Field(default="", description="for people")


class WebhookChangeBody(BaseModel):
    """The JSON body of `PATCH /webhooks/{id}`: what is left out stays as it is, so no field has a default."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"active": False}})

    url: UrlText = Field(default_factory=str, description="https URL with a public address")
    kinds: Kinds = Field(default_factory=list, description="kinds of events to send")
    description: Description = Field(default_factory=str)
    active: bool = Field(
        default_factory=bool,
        strict=True,
        description="false: pause; true: go on, at once, with what waits, also if disabled",
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("names nothing to change; give url, kinds, description or active")
        return self

    def given(self, name: str) -> Any:
        """The value of a field; None if it is left out."""
        return getattr(self, name) if name in self.model_fields_set else None


class WebhookView(View):
    """A webhook. Its secret is shown once, when it is made."""

    id: str = Field(validation_alias=AliasPath("webhook", "id"))
    url: str = Field(validation_alias=AliasPath("webhook", "url"))
    kinds: list[str] = Field(validation_alias=AliasPath("webhook", "kinds"), description="of the events that are sent")
    description: str = Field(validation_alias=AliasPath("webhook", "description"))
    state: WebhookState = Field(
        validation_alias=AliasPath("webhook", "state"),
        description="`disabled`: all calls failed for days, or the receiver answered 410; PATCH `active` to go on",
    )
    disabled_reason: str | None = Field(validation_alias=AliasPath("webhook", "disabled_reason"))
    failures: int = Field(validation_alias=AliasPath("webhook", "failures"), description="calls in a row")
    hold_until: datetime | None = Field(
        validation_alias=AliasPath("webhook", "hold_until"), description="not called before, because calls failed"
    )
    succeeded_at: datetime | None = Field(validation_alias=AliasPath("webhook", "succeeded_at"))
    waiting: int = Field(description="messages still to be sent")
    created_at: datetime = Field(validation_alias=AliasPath("webhook", "created_at"))

    @classmethod
    def from_entry(cls, entry: WebhookEntry) -> Self:
        return cls.model_validate(entry)


class WebhookSecretView(WebhookView):
    """A webhook with its new secret, which is not shown again."""

    secret: str = Field(
        validation_alias=AliasPath("webhook", "secret"),
        description="what receivers verify signatures with, in the form of Standard Webhooks",
    )


class WebhookList(View):
    webhooks: list[WebhookView]


class DeliveryView(View):
    """A message to a webhook, and the last try to send it."""

    id: str = Field(description="the header `webhook-id` of every try")
    kind: str = Field(description="of the event; `webhook.test`: a test call")
    search_id: str | None
    seq: int = Field(description="of the event in its search; 0: a test call")
    state: DeliveryState = Field(
        description="`failed`: given up after days; `dropped`: not sent, because too many waited or it waited too long"
    )
    tries: int
    next_try_at: datetime | None = Field(description="null: it is not tried again")
    tried_at: datetime | None
    status: int | None = Field(description="of the last response; null: there was none")
    problem: str | None = Field(description="why the last try failed")
    excerpt: str | None = Field(description="beginning of the last response body")
    duration_s: float | None = Field(description="of the last try")
    created_at: datetime
    ended_at: datetime | None

    @model_validator(mode="after")
    def _no_try_after_the_end(self) -> Self:
        if self.state != DeliveryState.PENDING:
            self.next_try_at = None
        return self


class DeliveryList(View):
    deliveries: list[DeliveryView]
    next_before: str | None = Field(description="pass it as `before` to get older ones; null: these are the last")
