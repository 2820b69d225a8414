"""A table of the report: plain text, which each form of the report escapes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of text below a head. `named` lists the columns of names; all others hold numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    named: tuple[int, ...] = (0,)
