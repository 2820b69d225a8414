"""Models, what their aliases stand for, and what they stood for before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Promotion:
    """An alias of a model came to stand for the result of a search. Facts of a deleted search are None."""

    model: str
    alias: str
    number: int  # counts the promotions of the alias
    is_current: bool
    search_id: str
    arch_id: str
    dataset: str | None
    macs: int | None
    test_top1_pct: float | None
    restores: int | None  # number of the promotion that this rollback went back to
    note: str
    key_id: str | None  # of the key that asked for it
    promoted_at: datetime
    document: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Model:
    """A model, what each of its aliases stands for, and, of a single one, its history, the newest first."""

    name: str
    aliases: tuple[Promotion, ...]
    history: tuple[Promotion, ...]
    document: Mapping[str, Any] = field(repr=False, compare=False)
