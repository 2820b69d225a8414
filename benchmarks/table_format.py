"""How results are read and written as tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.harness import RESULTS


def result(name: str) -> dict[str, Any]:
    """The stored measurements of a benchmark."""
    return dict(json.loads((RESULTS / f"{name}.json").read_text()))


def table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; the first column is text, all others are figures."""
    lines = [list(headers), *(list(row) for row in rows)]
    lines.insert(1, ["---", *["---:"] * (len(lines[0]) - 1)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def ratio(row: Mapping[str, Any], other: str, ours: str = "ours") -> str:
    """How many times as long `other` takes as `ours`, "elapsed / CPU"; elapsed alone if CPU time was not measured."""
    kinds = [kind for kind in ("seconds", "cpu_seconds") if kind in row]
    return " / ".join(f"{row[kind][other] / row[kind][ours]:.2f}" for kind in kinds)
