"""Which column of a table may be the class, and which is the split.

A column can be the class if it has several values that repeat. It is taken without a question only if its name says
that it is one (`label`, `species`, `diagnosis`), or if nothing else could be: other columns of text, and numbers from
0 or 1 without a gap, which may be class numbers. Other numbers, such as ages, are classes only if they are chosen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from autonl_core.datasets.layouts.group_names import group_rank
from autonl_core.datasets.layouts.label_tables import Row
from autonl_core.datasets.layouts.split_names import split_part

ONE_HOT = "one column per class"  # as a layout calls it
_LABEL_NAMES = re.compile(
    r"(?:image|img|true|gt|class|target|main|primary|super)?[ _-]*(?:labels?|class(?:es)?|category|categories|target|"
    r"species|breed|variety|cultivar|diagnosis|dx|disease|pathology|findings?|emotion|"
    r"klasse|kategorie|etikett|etiqueta|clase|classe|类别|标签|ラベル|라벨)"
    r"[ _-]*(?:name|names|id|ids|idx|index|text|labels?|no|num|number|code)?",
    re.IGNORECASE,
)
_SPLIT_NAMES = re.compile(r"(?:data)?[ _-]*(?:split|set|subset|partition|phase|usage|fold|type|stage)s?", re.IGNORECASE)
_NO_LABELS = re.compile(
    r"(?:img|image|bbox|box)?[ _.-]*(?:width|height|depth|w|h|x|y|x?min|x?max|y?min|y?max|x[12]|y[12]|area|size|bbox|"
    r"confidence|score|index|idx|url|link|path|md5|sha1|sha256|hash|date|time|timestamp|licen[sc]e|source|iscrowd)",
    re.IGNORECASE,
)
_MEASURES = re.compile(
    r".*(?:^|[ _-])(?:age|alter|edad|year|month|day|hour|minute|weight|count|number|num|no|nr|latitude|longitude|"
    r"lat|lon|temperature|price|distance|speed|percent|pct)s?",
    re.IGNORECASE,
)
_MIN_PER_CLASS = 2.0  # rows on average: what is nearly unique is no class


@dataclass(frozen=True)
class LabelColumn:
    """A column that may be the class. `classes`: the columns of a table with one for each class."""

    name: str
    is_named: bool = False  # whether its name says that it is the class
    is_group: bool = False  # whether it numbers patients, cameras or the like
    classes: tuple[str, ...] = ()

    def label_of(self, row: Row) -> str:
        """The class of a row; empty if it has none, or several."""
        if not self.classes:
            return row.get(self.name, "")
        marked = [name for name in self.classes if _is_one(row.get(name, ""))]
        return marked[0] if len(marked) == 1 else ""


def find_split_column(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """The column whose values are all names of splits; empty if there is none."""
    for column in columns:
        values = {row.get(column, "") for row in rows} - {""}
        if _SPLIT_NAMES.fullmatch(column) and values and all(map(split_part, values)):
            return column
    return ""


def find_label_columns(columns: Sequence[str], rows: Sequence[Row], most_classes: int) -> list[LabelColumn]:
    """Those that may be the class, the likelier ones first, each division of the rows once."""
    found = [
        LabelColumn(column, _is_label_name(column), group_rank(column) is not None)
        for column in columns
        if can_be_classes(column, rows, most_classes) and (_is_label_name(column) or _looks_like_labels(column, rows))
    ]
    if classes := _one_hot(columns, rows):
        found.append(LabelColumn(ONE_HOT, is_named=True, classes=classes))
    found.sort(key=lambda column: (not column.is_named, column.is_group))
    return _different([column for column in found if column.name not in classes], rows)


def one_hot_column(columns: Sequence[str], rows: Sequence[Row]) -> LabelColumn | None:
    """All columns of zeros and ones as the class, if every row has one 1."""
    classes = _one_hot(columns, rows)
    return LabelColumn(ONE_HOT, is_named=True, classes=classes) if classes else None


def can_be_classes(column: str, rows: Sequence[Row], most_classes: int) -> bool:
    """Whether the values of a column can be classes for who chooses it: several, and repeated."""
    distinct, given = count_values(column, rows)
    repeated = distinct * _MIN_PER_CLASS <= given or _is_label_name(column)
    return repeated and 2 <= distinct <= most_classes


def count_values(column: str, rows: Iterable[Row]) -> tuple[int, int]:
    """How many different values a column has, and in how many rows."""
    values = [value for row in rows if (value := row.get(column, ""))]
    return len(set(values)), len(values)


def _is_label_name(column: str) -> bool:
    return _LABEL_NAMES.fullmatch(column) is not None


def _looks_like_labels(column: str, rows: Sequence[Row]) -> bool:
    """Whether a column whose name does not say so may be the class: text, or numbers that count classes."""
    if _NO_LABELS.fullmatch(column):
        return False
    values = {value for row in rows if (value := row.get(column, ""))}
    if not all(map(_is_number, values)):
        return True
    numbers = {float(value) for value in values}
    counting = numbers in ({*range(len(numbers))}, {*range(1, len(numbers) + 1)})
    has_header = not column.isdecimal()  # without names of columns, these are numbered
    return not has_header or (counting and not _MEASURES.fullmatch(column))


def _one_hot(columns: Sequence[str], rows: Sequence[Row]) -> tuple[str, ...]:
    """Columns of zeros and ones, of which every row has exactly one 1."""
    binary = [
        column for column in columns if all(_is_zero(text := row.get(column, "")) or _is_one(text) for row in rows)
    ]
    sums = [sum(_is_one(row.get(column, "")) for column in binary) for row in rows]
    return tuple(binary) if len(binary) > 1 and sums and set(sums) <= {0, 1} and sum(sums) > len(sums) / 2 else ()


def _different(columns: Sequence[LabelColumn], rows: Sequence[Row]) -> list[LabelColumn]:
    """Without columns that say the same as another, such as numbers beside names: names are kept."""
    alike: dict[tuple[int, ...], list[LabelColumn]] = {}
    for column in columns:
        numbers: dict[str, int] = {}
        division = tuple(numbers.setdefault(column.label_of(row), len(numbers)) for row in rows)
        alike.setdefault(division, []).append(column)
    return [_plainest(same, rows) for same in alike.values()]


def _plainest(same: Sequence[LabelColumn], rows: Sequence[Row]) -> LabelColumn:
    """Of columns that say the same, the first one with names. It is the class if one of them is called so."""
    best = min(same, key=lambda column: _is_numeric(column, rows))
    is_named = any(column.is_named for column in same)
    return LabelColumn(best.name, is_named, best.is_group and not is_named, best.classes)


def _is_numeric(column: LabelColumn, rows: Iterable[Mapping[str, str]]) -> bool:
    return all(_is_number(column.label_of(row) or "0") for row in rows)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(?:\.\d*)?|-?\.\d+|-?\d*\.?\d+e-?\d+", text) is not None


def _is_zero(text: str) -> bool:
    return text in ("0", "0.0", "False", "false")


def _is_one(text: str) -> bool:
    return text in ("1", "1.0", "True", "true")
