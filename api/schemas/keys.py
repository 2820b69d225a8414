"""Keys and sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.base import View
from store.json_values import plain_text
from store.keys import Scope

KeyName = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(plain_text)]


class KeyBody(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    name: KeyName = Field(description="what it is for, to recognise it later")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))] = Field(
        default=[Scope.READ, Scope.SUBMIT, Scope.DATA],
        description="`read`: see everything of the tenant; `submit`: start, pause, resume, cancel and delete searches; "
        "`data`: add and delete datasets and weights; `admin`: make and revoke keys",
    )
    expires_in_days: int | None = Field(
        default=None, strict=True, ge=1, le=3650, description="null: it does not expire"
    )


class KeyView(View):
    """A key, without its secret."""

    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="to the minute; null: it was not used yet")


class NewKeyView(KeyView):
    """A new key, with its secret: it cannot be read again."""

    key: str = Field(description="send it as `Authorization: Bearer KEY`")


class KeyList(BaseModel):
    """The keys of a tenant."""

    keys: list[KeyView]


class SignInBody(BaseModel):
    """A key to sign in with."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class SessionView(BaseModel):
    """Who sends a request."""

    tenant: str
    key: str | None = Field(description="name of the key; null: none is needed")
    scopes: list[Scope]
    key_required: bool = Field(description="whether this service needs a key")
