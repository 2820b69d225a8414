"""Which column of a table names the image, which the class, and which the split."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autonl_core.datasets.layouts.label_tables import Row, Table
from autonl_core.datasets.layouts.split_names import split_part

_ONE_HOT = "one column per class"  # as a layout calls it
_LABEL_NAMES = re.compile(
    r"(?:image|img|true|gt|class|target|main|primary|super)?[ _-]*(?:labels?|class(?:es)?|category|categories|target|"
    r"species|breed|variety|diagnosis|dx|klasse|kategorie|etikett|etiqueta|clase|classe|类别|标签|ラベル|라벨)"
    r"[ _-]*(?:name|names|id|ids|idx|index|text|label|no|num|number)?",
    re.IGNORECASE,
)
_SPLIT_NAMES = re.compile(r"(?:data)?[ _-]*(?:split|set|subset|partition|phase|usage|fold|type|stage)s?", re.IGNORECASE)
_NO_LABELS = re.compile(
    r"(?:img|image|bbox|box)?[ _.-]*(?:width|height|depth|w|h|x|y|x?min|x?max|y?min|y?max|x[12]|y[12]|area|size|bbox|"
    r"confidence|score|index|idx|url|link|path|md5|sha1|sha256|hash|date|time|timestamp|licen[sc]e|source|iscrowd)",
    re.IGNORECASE,
)
_TRIED_ROWS = 2_000
_MIN_FOUND = 0.5  # share of rows whose image is there
_MIN_PER_CLASS = 2.0  # rows on average: what is nearly unique is no class


@dataclass(frozen=True)
class Columns:
    """The columns of a table by name. `classes`: in a table with one column per class, those."""

    image: str
    labels: tuple[str, ...]
    split: str = ""
    classes: tuple[str, ...] = ()

    def label_of(self, row: Row, label: str) -> str:
        """The class of a row; empty if it has none, or several."""
        if not self.classes:
            return row.get(label, "")
        marked = [name for name in self.classes if _is_one(row.get(name, ""))]
        return marked[0] if len(marked) == 1 else ""


def find_columns(table: Table, is_image: Callable[[str], bool], most_classes: int) -> Columns | None:
    """None if no column names images, or none could be their class."""
    tried = table.rows[:_TRIED_ROWS]
    found = {column: sum(is_image(row.get(column, "")) for row in tried) for column in table.columns}
    image = max(found, key=lambda column: (found[column], -table.columns.index(column)), default=None)
    if image is None or found[image] < max(1, _MIN_FOUND * len(tried)):
        return None
    rows = [row for row in table.rows if row.get(image)]
    split = _split_column(table, rows, image)
    rest = [column for column in table.columns if column not in (image, split)]
    if classes := _one_hot(rest, rows):
        return Columns(image, (_ONE_HOT,), split, classes)
    labels = [column for column in rest if _could_be_labels(column, rows, most_classes)]
    named = [column for column in labels if _LABEL_NAMES.fullmatch(column)]
    different = _different(named or labels, rows)
    return Columns(image, tuple(different), split) if different else None


def _split_column(table: Table, rows: Sequence[Row], image: str) -> str:
    for column in table.columns:
        values = {row.get(column, "") for row in rows} - {""}
        if column != image and _SPLIT_NAMES.fullmatch(column) and values and all(map(split_part, values)):
            return column
    return ""


def _one_hot(columns: Sequence[str], rows: Sequence[Row]) -> tuple[str, ...]:
    """Columns of zeros and ones, of which every row has exactly one 1."""
    binary = [
        column for column in columns if all(_is_zero(text := row.get(column, "")) or _is_one(text) for row in rows)
    ]
    sums = [sum(_is_one(row.get(column, "")) for column in binary) for row in rows]
    return tuple(binary) if len(binary) > 1 and sums and set(sums) <= {0, 1} and sum(sums) > len(sums) / 2 else ()


def _could_be_labels(column: str, rows: Sequence[Row], most_classes: int) -> bool:
    values = [row.get(column, "") for row in rows]
    values = [value for value in values if value]
    count = len(set(values))
    if _LABEL_NAMES.fullmatch(column):
        return 2 <= count <= most_classes
    repeated = count * _MIN_PER_CLASS <= len(values) and 2 <= count <= most_classes
    return repeated and not _NO_LABELS.fullmatch(column) and not any(map(_is_fraction, values))


def _different(columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Without columns that say the same as another, such as numbers beside names: names are kept."""
    by_division: dict[tuple[int, ...], list[str]] = {}
    for column in columns:
        numbers: dict[str, int] = {}
        division = tuple(numbers.setdefault(row.get(column, ""), len(numbers)) for row in rows)
        by_division.setdefault(division, []).append(column)
    return [min(alike, key=lambda column: _is_numeric(column, rows)) for alike in by_division.values()]


def _is_numeric(column: str, rows: Sequence[Row]) -> bool:
    return all(row.get(column, "").lstrip("-").isdecimal() for row in rows)


def _is_fraction(text: str) -> bool:
    return re.fullmatch(r"-?\d*\.\d*(?:e-?\d+)?", text) is not None and not text.endswith(".0")


def _is_zero(text: str) -> bool:
    return text in ("0", "0.0", "False", "false")


def _is_one(text: str) -> bool:
    return text in ("1", "1.0", "True", "true")
