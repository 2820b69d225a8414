"""An error as a document (RFC 9457)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    source: Literal["body", "query", "path", "header"] = "body"
    pointer: str = Field(description="JSON pointer (RFC 6901) into the body, or the name of the parameter")
    code: str = Field(description="stable identifier for programs, e.g. `greater_than_equal`")
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457). Some types have additional members, e.g. `feasible_range`."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`/problems/NAME`; GET it for an explanation")
    title: str
    status: int
    detail: str
    instance: str = Field(description="path of the request")
    request_id: str
    errors: list[FieldProblem] | None = None
