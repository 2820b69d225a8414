"""Columns of tables that say which images belong together, such as those of one patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from autonl_core.datasets.layouts.group_names import group_rank
from autonl_core.datasets.layouts.image_tables import ImageTable, ImageTables
from autonl_core.datasets.names import suffix_of

_NO_VALUES = frozenset({"", "-", "?", "na", "n/a", "nan", "none", "null", "unknown"})


@dataclass(frozen=True)
class Grouping:
    """A column that numbers patients, cameras or the like, and its value for each image that has one.

    Tables of several `files`, such as one for each split, mean the same by one value.
    """

    files: tuple[str, ...]
    column: str
    values: Mapping[str, str]


def find_groupings(tables: ImageTables, label_columns: Collection[tuple[str, str]]) -> tuple[Grouping, ...]:
    """The groupings of all tables, those whose images have most in common first.

    Args:
        label_columns: files and columns that are the class, which do not group.
    """
    by_column: dict[str, Grouping] = {}
    files = (file for file in tables.candidates if suffix_of(file) != ".txt")  # often one for each image
    for table in filter(None, map(tables.table, files)):
        for column in table.columns:
            if group_rank(column) is None or (table.file, column) in label_columns:
                continue
            other = by_column.get(column, Grouping((), column, {}))
            values = {**_values(table, column), **other.values}
            by_column[column] = Grouping((*other.files, table.file), column, values)
    found = [grouping for grouping in by_column.values() if _divides(grouping.values.values())]
    return tuple(sorted(found, key=lambda grouping: group_rank(grouping.column) or 0))


def _values(table: ImageTable, column: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for row, image in table.named():
        value = row.get(column, "")
        if value.casefold() not in _NO_VALUES:
            values.setdefault(image, value)
    return values


def _divides(values: Iterable[str]) -> bool:
    """Whether there are several values, and at least one of several images."""
    counts = Counter(values)
    return len(counts) > 1 and max(counts.values()) > 1
