"""Models: what a client promotes, what an alias stands for, and what it stood for before."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.base import View
from store.json_values import plain_text
from store.model_registry.registry import PromotionEntry

Note = Annotated[str, StringConstraints(max_length=1000), AfterValidator(plain_text)]


class PromotionBody(BaseModel):
    """The JSON body of `PUT /models/{model}/aliases/{alias}`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"search_id": "1f0c9a72e5b84d36", "note": "two points ahead on last week's photos"}
        },
    )

    search_id: Annotated[str, StringConstraints(max_length=64), AfterValidator(plain_text)] = Field(
        description="the search whose result the alias stands for from now on"
    )
    note: Note = Field(default="", description="why, for people")


class RollbackBody(BaseModel):
    """The JSON body of `POST /models/{model}/aliases/{alias}/rollback`."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"number": 3, "note": "slow on old phones"}}
    )

    number: int = Field(ge=1, le=2**31 - 1, strict=True, description="of the promotion to undo, the current one")
    note: Note = Field(default="", description="why, for people")


class PromotionView(View):
    """An alias of a model came to stand for the result of a search."""

    model: str
    alias: str
    number: int = Field(description="counts the promotions of the alias")
    is_current: bool
    search_id: str
    arch_id: str
    dataset: str | None = Field(description="that the network was searched on; null: its search was deleted")
    macs: int | None = Field(description="null: its search was deleted")
    test_top1_pct: float | None = Field(description="null: its search was deleted")
    restores: int | None = Field(
        description="number of the promotion that this rollback went back to; null: no rollback"
    )
    note: str
    key_id: str | None = Field(description="of the key that asked for it; null: none was needed")
    promoted_at: datetime
    links: dict[str, str] = Field(
        description="`search`; of a current one `checkpoint`, where the result of the alias is downloaded, and "
        "`rollback` if it stood for something before"
    )

    @classmethod
    def from_entry(cls, entry: PromotionEntry) -> Self:
        promotion, architecture = entry.promotion, entry.architecture
        links = {} if entry.search is None else {"search": f"/searches/{promotion.search_id}"}
        if promotion.is_current:
            own_path = f"/models/{promotion.model}/aliases/{promotion.alias}"
            links["checkpoint"] = f"{own_path}/checkpoint"
            if promotion.before is not None:
                links["rollback"] = f"{own_path}/rollback"
        own = set(cls.model_fields) & set(promotion.__table__.columns.keys())
        return cls(
            **{name: getattr(promotion, name) for name in own},
            dataset=None if entry.search is None else entry.search.dataset,
            macs=None if architecture is None else architecture.macs,
            test_top1_pct=None if architecture is None else architecture.test_top1_pct,
            links=links,
        )


class ModelView(View):
    """A model: what each of its aliases stands for."""

    name: str
    aliases: list[PromotionView]


class ModelHistoryView(ModelView):
    """A model with its history."""

    history: list[PromotionView] = Field(description="of all aliases, the newest first; at most 200")


class ModelList(View):
    models: list[ModelView]

    @classmethod
    def from_entries(cls, entries: Iterable[PromotionEntry]) -> Self:
        """The models of current promotions, which are in the order of their models."""
        views = map(PromotionView.from_entry, entries)
        grouped = groupby(views, key=lambda view: view.model)
        return cls(models=[ModelView(name=name, aliases=list(aliases)) for name, aliases in grouped])
