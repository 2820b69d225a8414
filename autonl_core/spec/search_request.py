"""A search as it is asked for, before its start is decided."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from autonl_core.spec.config import AUTO_INIT, Init, SearchConfig
from autonl_core.spec.labels import Labels


def _either_budget(schema: dict[str, Any]) -> None:
    """In the JSON schema: one of both fields is required."""
    schema["required"] = [name for name in schema["required"] if name != "flops_budget"]
    some_budgets = {"required": ["flops_budgets"], "properties": {"flops_budgets": {"minItems": 1}}}
    # Not `anyOf`, of which generators of clients make two models that have none of the fields.
    schema |= {"if": some_budgets, "else": {"required": ["flops_budget"], "properties": {"flops_budget": True}}}


class SearchRequest(SearchConfig):
    """A search as it is asked for. Stored ones, `SearchConfig`, say which weights they start from (`recipe.settle`).

    With `flops_budgets`, `flops_budget` may be left out: it is the first of them.
    """

    model_config = ConfigDict(json_schema_extra=_either_budget)

    init: Init = Field(
        default=AUTO_INIT,
        description='where weights start: "none", at random; the name of a weight set, see GET /weights; "auto": '
        "pretrained where the images are photographs and a built-in weight set serves the space, else none; "
        '"search:ID": with the teacher and the supernet of a finished search on the same dataset. From '
        "pretrained weights, the defaults of `teacher`, `supernet` and `train` are others, and a resolution that is "
        "left open is chosen with the architecture",
    )

    labels: Labels = Field(
        default={},
        exclude=True,  # from stored configurations: they belong to the row, and change nothing of the search
        description='what you know the search by, as {"team": "x"}; GET /searches?label=team:x lists those with it',
    )

    repeat_of: None = Field(default=None, description="set by the service in the searches that `repeat` starts")

    @model_validator(mode="after")
    def _begins_with_its_budget(self) -> Self:
        if self.flops_budgets and self.flops_budget != self.flops_budgets[0]:
            raise ValueError(f"flops_budget {self.flops_budget:,} is not the first of flops_budgets; leave it out")
        return self

    @field_validator("repeat_of", mode="before")
    @classmethod
    def _is_no_repeat(cls, repeat_of: object) -> None:
        if repeat_of is not None:
            raise ValueError("repeat_of is set by the service; to run a search several times, set repeat")
